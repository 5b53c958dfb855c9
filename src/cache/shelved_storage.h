// A CacheStorage that keeps small objects on shelves (shelf.h), and the others in files of
// their own, in the storage that it wraps.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/file_descriptor.h"
#include "cache/cache_storage.h"
#include "cache/counted_blocks.h"
#include "cache/quarantine_folder.h"
#include "cache/shelf.h"

namespace shoal {

class ShelvedStorage final : public CacheStorage {
 public:
  // `folder` is where the shelves are, a directory of ours; `quarantine` lives as long as
  // `files`. Objects of fewer bytes than
  // `below_bytes`, which is at most kShelvedBytesMax, go on them. `in_memory`: it is on a tmpfs.
  ShelvedStorage(std::unique_ptr<CacheStorage> files, FileDescriptor folder,
                 QuarantineFolder& quarantine, uint64_t below_bytes, bool in_memory);

  Result<std::unique_ptr<StoredObject>> Open(const ObjectDigest& name) override;
  Result<std::unique_ptr<StoredObject>> Create(const ObjectDigest& name,
                                               uint64_t size_bytes) override;
  Result<> Remove(const ObjectDigest& name) override;
  // Of those on shelves no file is given out.
  bool IsMapped(const ObjectDigest& name) override { return files_->IsMapped(name); }
  Result<> Quarantine(const ObjectDigest& name) override;
  Result<> Scan(const std::function<bool(const Found&)>& visit) override;
  Result<> ScanAndClean(const std::function<bool(const Found&)>& visit) override;
  Result<> MarkUsed(const ObjectDigest& name) override;
  Result<> SyncAll() override { return files_->SyncAll(); }
  Result<Room> GetRoom() override { return files_->GetRoom(); }
  [[nodiscard]] uint64_t own_block_count() override {
    return files_->own_block_count() + block_sum_.value();
  }
  [[nodiscard]] size_t index_count() const override { return kShelfCount; }
  uint64_t BlocksToPutInOrder(size_t index) override {
    return shelves_[index]->BlocksToPutInOrder();
  }
  Result<> PutInOrder(size_t index, uint64_t block_count_max) override {
    return shelves_[index]->PutInOrder(block_count_max);
  }
  Result<> Resize(uint64_t capacity_bytes) override { return files_->Resize(capacity_bytes); }
  [[nodiscard]] size_t memory_bytes() override;
  [[nodiscard]] const std::string& name() const override { return files_->name(); }

 private:
  // Each has its log read when it is first asked for something: more of them make that
  // shorter, and take three descriptors each.
  static constexpr size_t kShelfCount = 64;

  // False: `visit` wanted no more.
  Result<bool> ScanShelves(bool clean, const std::function<bool(const Found&)>& visit);
  [[nodiscard]] Shelf& ShelfOf(const ObjectDigest& name) {
    return *shelves_[name.words[0] % kShelfCount];
  }

  const std::unique_ptr<CacheStorage> files_;
  const FileDescriptor folder_;
  QuarantineFolder& quarantine_;
  const uint64_t below_bytes_;
  CountedBlocks folder_blocks_;
  BlockSum block_sum_;  // of it, and of the shelves
  std::array<std::unique_ptr<Shelf>, kShelfCount> shelves_;
};

}  // namespace shoal
