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

// Of the same version.
bool SameAttributes(const ObjectInfo& a, const ObjectInfo& b) {
  return a.modified_unix_seconds == b.modified_unix_seconds && a.storage_class == b.storage_class;
}

}  // namespace

Attributes Inode::attributes() const {
  return {.inode = id,
          .is_directory = is_directory,
          .size_bytes = object.version.size_bytes,
          .modified_unix_seconds = object.modified_unix_seconds};
}

InodeTable::InodeTable(std::string root_prefix, HandOver& hand_over, HandsOver files)
    : hand_over_(hand_over), hands_over_all_files_(files == HandsOver::kAllFiles) {
  const MutexLock lock(mutex_);
  RestoreDirectories(root_prefix);
  RestoreFiles();
  Inode root{
      .id = kRootInode, .is_directory = true, .prefix = std::move(root_prefix), .object = {}};
  slots_[kRootInode] = {std::make_shared<const Inode>(std::move(root)), 1, HandOver::kNone};
  size_ = slots_.size();
}

void InodeTable::RestoreDirectories(const std::string& root_prefix) {
  std::vector<HandOver::Token> useless;
  const auto restore = [&](HandOver::Token token, const HandOverRecord& left) REQUIRES(mutex_) {
    const bool fits = left.number > kRootInode && left.count > 0 && left.text.ends_with('/') &&
                      left.text.starts_with(root_prefix) && !slots_.contains(left.number);
    if (!fits) return useless.push_back(token);
    Inode inode{
        .id = left.number, .is_directory = true, .prefix = std::string(left.text), .object = {}};
    slots_[left.number] = {std::make_shared<const Inode>(std::move(inode)), left.count, token};
  };
  hand_over_.VisitLeft(HandOverRecord::Kind::kDirectory, restore);
  for (const HandOver::Token token : useless) hand_over_.Drop(token);
}

void InodeTable::RestoreFiles() {
  struct Left {
    HandOver::Token token;
    InodeId id;
    uint64_t count;
    ObjectInfo object;
  };
  std::vector<Left> left;
  hand_over_.VisitLeft(HandOverRecord::Kind::kFile, [&](HandOver::Token token,
                                                        const HandOverRecord& record) {
    ObjectInfo object{.version = {.key = std::string(record.text),
                                  .etag = std::string(record.more_text),
                                  .size_bytes = record.values[0]},
                      .modified_unix_seconds = static_cast<int64_t>(record.values[1])};
    if (record.values[2] != 0) object.storage_class = StorageClass::kArchive;
    left.push_back({token, record.number, std::max<uint64_t>(record.count, 1), std::move(object)});
  });
  for (const auto& [token, id, count, object] : left) {
    if (id <= kRootInode || slots_.contains(id)) {
      hand_over_.Drop(token);
      continue;
    }
    Slot& slot = SlotOfFile(id, object);
    slot.references = count;
    slot.token = token;
    if (!hands_over_all_files_) looked_up_.emplace_back(id, token);
  }
}

std::shared_ptr<const Inode> InodeTable::ReferenceLookedUp(const ObjectInfo& object) {
  std::shared_ptr<const Inode> inode = ReferenceFile(object);
  if (hands_over_all_files_) return inode;
  const MutexLock lock(mutex_);
  const auto slot = slots_.find(inode->id);
  if (slot == slots_.end() || slot->second.token != HandOver::kNone) return inode;
  slot->second.token = KeepFile(*slot->second.inode, slot->second.references);
  looked_up_.emplace_back(inode->id, slot->second.token);
  if (looked_up_.size() <= kLookedUpCountMax) return inode;
  const auto [oldest, token] = looked_up_.front();
  looked_up_.pop_front();
  // It may have been forgotten since, and its token be another's.
  const auto old_slot = slots_.find(oldest);
  if (old_slot != slots_.end() && old_slot->second.token == token)
    hand_over_.Drop(std::exchange(old_slot->second.token, HandOver::kNone));
  return inode;
}

HandOver::Token InodeTable::KeepFile(const Inode& file, uint64_t references) {
  const ObjectInfo& object = file.object;
  const bool readable = object.storage_class == StorageClass::kReadable;
  return hand_over_.Keep(
      {.kind = HandOverRecord::Kind::kFile,
       .number = file.id,
       .count = references,
       .values = {object.version.size_bytes, static_cast<uint64_t>(object.modified_unix_seconds),
                  readable ? uint64_t{0} : uint64_t{1}},
       .text = object.version.key,
       .more_text = object.version.etag});
}

std::shared_ptr<const Inode> InodeTable::RestoreFile(InodeId id, const ObjectInfo& object) {
  const MutexLock lock(mutex_);
  return SlotOfFile(id, object).inode;
}

InodeTable::Slot& InodeTable::SlotOfFile(InodeId id, const ObjectInfo& object) {
  Slot& slot = slots_[id];
  // How many references the kernel has nobody knows. It gives them back all at once.
  if (!slot.inode)
    slot = {std::make_shared<const Inode>(
                Inode{.id = id, .is_directory = false, .prefix = {}, .object = object}),
            1, HandOver::kNone};
  size_ = slots_.size();
  return slot;
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
  const MutexLock lock(mutex_);
  while (true) {
    Slot& slot = slots_[wanted.id];
    const bool is_new = !slot.inode;
    if (is_new) slot.inode = std::make_shared<const Inode>(wanted);
    size_ = slots_.size();
    if (SameThing(*slot.inode, wanted)) {
      ++slot.references;
      if (!SameAttributes(slot.inode->object, wanted.object)) {
        slot.inode = std::make_shared<const Inode>(wanted);
        hand_over_.Drop(std::exchange(slot.token, HandOver::kNone));  // it has the old ones
      }
      if (wanted.is_directory && is_new)
        slot.token = hand_over_.Keep({.kind = HandOverRecord::Kind::kDirectory,
                                      .number = wanted.id,
                                      .count = slot.references,
                                      .text = wanted.prefix});
      else if (slot.token != HandOver::kNone)
        hand_over_.SetCount(slot.token, slot.references);
      else if (hands_over_all_files_ && !wanted.is_directory)
        slot.token = KeepFile(*slot.inode, slot.references);
      return slot.inode;
    }
    wanted.id = Usable(wanted.id + 1);
  }
}

std::shared_ptr<const Inode> InodeTable::Find(InodeId id) const {
  const MutexLock lock(mutex_);
  const auto slot = slots_.find(id);
  return slot == slots_.end() ? nullptr : slot->second.inode;
}

void InodeTable::Forget(InodeId id, uint64_t count) {
  if (id == kRootInode) return;
  const MutexLock lock(mutex_);
  const auto slot = slots_.find(id);
  if (slot == slots_.end()) return;
  slot->second.references -= std::min(count, slot->second.references);
  if (slot->second.references > 0)
    return hand_over_.SetCount(slot->second.token, slot->second.references);
  hand_over_.Drop(slot->second.token);
  slots_.erase(slot);
  size_ = slots_.size();
}

std::vector<InodeId> InodeTable::Next(size_t count) {
  std::vector<InodeId> ids;
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < slots_.bucket_count() && ids.size() < count; ++i) {
    next_bucket_ = (next_bucket_ + 1) % slots_.bucket_count();
    for (auto slot = slots_.begin(next_bucket_); slot != slots_.end(next_bucket_); ++slot)
      if (slot->first != kRootInode) ids.push_back(slot->first);
  }
  return ids;
}

}  // namespace shoal
