#include "fs/inode_table.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

// 0 means "no inode" to FUSE and 1 is the root.
InodeId Usable(uint64_t hash) {
  return hash <= kRootInode ? hash + 2 : hash;
}

bool SameThing(const Inode& a, const Inode& b) {
  return a.is_directory == b.is_directory && a.prefix == b.prefix &&
         a.object.version == b.object.version;
}

}  // namespace

Attributes Inode::attributes() const {
  return {.inode = id,
          .is_directory = is_directory,
          .size_bytes = object.version.size_bytes,
          .modified_unix_seconds = object.modified_unix_seconds};
}

InodeTable::InodeTable(std::string root_prefix) {
  Inode root{
      .id = kRootInode, .is_directory = true, .prefix = std::move(root_prefix), .object = {}};
  slots_[kRootInode] = {std::make_shared<const Inode>(std::move(root)), 1};
}

InodeId InodeTable::NumberOf(const std::string& directory_prefix) {
  return Usable(XXH3_64bits(directory_prefix.data(), directory_prefix.size()));
}

InodeId InodeTable::NumberOf(const ObjectInfo& object) {
  // A key may hold any byte but NUL, so NUL keeps the parts apart.
  const std::string name = object.version.key + '\0' + object.version.etag + '\0' +
                           std::to_string(object.version.size_bytes);
  return Usable(XXH3_64bits(name.data(), name.size()));
}

std::shared_ptr<const Inode> InodeTable::ReferenceDirectory(const std::string& prefix) {
  return Reference({.id = NumberOf(prefix), .is_directory = true, .prefix = prefix, .object = {}});
}

std::shared_ptr<const Inode> InodeTable::ReferenceFile(const ObjectInfo& object) {
  return Reference({.id = NumberOf(object), .is_directory = false, .prefix = {}, .object = object});
}

std::shared_ptr<const Inode> InodeTable::Reference(Inode wanted) {
  const std::unique_lock lock(mutex_);
  while (true) {
    Slot& slot = slots_[wanted.id];
    if (!slot.inode) slot.inode = std::make_shared<const Inode>(wanted);
    if (SameThing(*slot.inode, wanted)) {
      ++slot.references;
      return slot.inode;
    }
    wanted.id = Usable(wanted.id + 1);
  }
}

std::shared_ptr<const Inode> InodeTable::Find(InodeId id) const {
  const std::unique_lock lock(mutex_);
  const auto slot = slots_.find(id);
  return slot == slots_.end() ? nullptr : slot->second.inode;
}

void InodeTable::Forget(InodeId id, uint64_t count) {
  if (id == kRootInode) return;
  const std::unique_lock lock(mutex_);
  const auto slot = slots_.find(id);
  if (slot == slots_.end()) return;
  slot->second.references -= std::min(count, slot->second.references);
  if (slot->second.references == 0) slots_.erase(slot);
}

size_t InodeTable::size() const {
  const std::unique_lock lock(mutex_);
  return slots_.size();
}

}  // namespace shoal
