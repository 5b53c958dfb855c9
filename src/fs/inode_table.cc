#include "fs/inode_table.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>
#include <vector>

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

InodeTable::InodeTable(std::string root_prefix, HandOver& hand_over) : hand_over_(hand_over) {
  RestoreDirectories(root_prefix);
  Inode root{
      .id = kRootInode, .is_directory = true, .prefix = std::move(root_prefix), .object = {}};
  slots_[kRootInode] = {std::make_shared<const Inode>(std::move(root)), 1, HandOver::kNone};
}

void InodeTable::RestoreDirectories(const std::string& root_prefix) {
  std::vector<HandOver::Token> useless;
  hand_over_.VisitLeft(HandOverRecord::Kind::kDirectory, [&](HandOver::Token token,
                                                             const HandOverRecord& left) {
    const bool fits = left.number > kRootInode && left.count > 0 && left.text.ends_with('/') &&
                      left.text.starts_with(root_prefix) && !slots_.contains(left.number);
    if (!fits) return useless.push_back(token);
    Inode inode{
        .id = left.number, .is_directory = true, .prefix = std::string(left.text), .object = {}};
    slots_[inode.id] = {std::make_shared<const Inode>(std::move(inode)), left.count, token};
  });
  for (const HandOver::Token token : useless) hand_over_.Drop(token);
}

std::shared_ptr<const Inode> InodeTable::RestoreFile(InodeId id, const ObjectInfo& object) {
  const std::unique_lock lock(mutex_);
  Slot& slot = slots_[id];
  // How many references the kernel has nobody knows. It gives them back all at once.
  if (!slot.inode)
    slot = {std::make_shared<const Inode>(
                Inode{.id = id, .is_directory = false, .prefix = {}, .object = object}),
            1, HandOver::kNone};
  return slot.inode;
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
    const bool is_new = !slot.inode;
    if (is_new) slot.inode = std::make_shared<const Inode>(wanted);
    if (SameThing(*slot.inode, wanted)) {
      ++slot.references;
      if (wanted.is_directory && is_new)
        slot.token = hand_over_.Keep({.kind = HandOverRecord::Kind::kDirectory,
                                      .number = wanted.id,
                                      .count = slot.references,
                                      .text = wanted.prefix});
      else
        hand_over_.SetCount(slot.token, slot.references);
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
  if (slot->second.references > 0)
    return hand_over_.SetCount(slot->second.token, slot->second.references);
  hand_over_.Drop(slot->second.token);
  slots_.erase(slot);
}

size_t InodeTable::size() const {
  const std::unique_lock lock(mutex_);
  return slots_.size();
}

}  // namespace shoal
