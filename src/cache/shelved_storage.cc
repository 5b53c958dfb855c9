#include "cache/shelved_storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cache/guarded_files.h"

namespace shoal {

ShelvedStorage::ShelvedStorage(std::unique_ptr<CacheStorage> files, FileDescriptor folder,
                               QuarantineFolder& quarantine, uint64_t below_bytes, bool in_memory)
    : files_(std::move(files)),
      folder_(std::move(folder)),
      quarantine_(quarantine),
      below_bytes_(std::min(below_bytes, kShelvedBytesMax)) {
  for (size_t i = 0; i < kShelfCount; ++i) {
    const std::string name = fmt::format("{:02x}", i);
    shelves_[i] = std::make_unique<Shelf>(folder_.get(), name, files_->name() + "/shelves/" + name,
                                          block_sum_, in_memory);
  }
  folder_blocks_.Count(folder_.get(), block_sum_);
}

Result<std::unique_ptr<StoredObject>> ShelvedStorage::Open(const ObjectDigest& name) {
  Result<std::unique_ptr<StoredObject>> found = ShelfOf(name).Open(name);
  if (found || found.error().code != Errc::kNotFound) return found;
  return files_->Open(name);
}

Result<std::unique_ptr<StoredObject>> ShelvedStorage::Create(const ObjectDigest& name,
                                                             uint64_t size_bytes) {
  if (size_bytes > 0 && size_bytes < below_bytes_) {
    Result<std::unique_ptr<StoredObject>> made = ShelfOf(name).Create(name, size_bytes);
    folder_blocks_.Count(folder_.get(), block_sum_);  // it may have files now
    if (made || made.error().code != Errc::kBusy) return made;
  }
  return files_->Create(name, size_bytes);
}

Result<> ShelvedStorage::Remove(const ObjectDigest& name) {
  ASSIGN_OR_RETURN(const bool was_on_shelf, ShelfOf(name).Remove(name));
  return was_on_shelf ? Result<>() : files_->Remove(name);
}

Result<> ShelvedStorage::Quarantine(const ObjectDigest& name) {
  Result<std::unique_ptr<StoredObject>> shelved = ShelfOf(name).Open(name);
  if (!shelved && shelved.error().code == Errc::kNotFound) return files_->Quarantine(name);
  if (!shelved) return tl::unexpected(shelved.error());
  ASSIGN_OR_RETURN(const uint64_t size_bytes, (*shelved)->DataBytes());
  std::vector<std::byte> data(size_bytes);
  std::vector<std::byte> meta(kCacheBlockBytes);
  Result<> copied = (*shelved)->ReadData(0, data);
  if (copied) copied = (*shelved)->ReadMeta(0, meta);
  shelved->reset();  // so that its room is there for the copy
  ASSIGN_OR_RETURN(const bool removed, ShelfOf(name).Remove(name));
  if (!removed) return {};  // somebody else just did
  if (copied) copied = quarantine_.Write(name.Hex(), data, meta);
  // It is out of the way, also where there is no room for a copy.
  if (!copied) log::Warn("{} is not kept to be looked at: {}", name.Hex(), copied.error().detail);
  return {};
}

Result<> ShelvedStorage::Scan(const std::function<bool(const Found&)>& visit) {
  ASSIGN_OR_RETURN(const bool go_on, ScanShelves(/*clean=*/false, visit));
  return go_on ? files_->Scan(visit) : Result<>();
}

Result<> ShelvedStorage::ScanAndClean(const std::function<bool(const Found&)>& visit) {
  ASSIGN_OR_RETURN(const bool go_on, ScanShelves(/*clean=*/true, visit));
  return go_on ? files_->ScanAndClean(visit) : Result<>();
}

Result<bool> ShelvedStorage::ScanShelves(bool clean,
                                         const std::function<bool(const Found&)>& visit) {
  for (const auto& shelf : shelves_) {
    ASSIGN_OR_RETURN(const bool go_on, shelf->Scan(clean, visit));
    if (!go_on) return false;
  }
  return true;
}

Result<> ShelvedStorage::MarkUsed(const ObjectDigest& name) {
  ASSIGN_OR_RETURN(const bool is_on_shelf, ShelfOf(name).MarkUsed(name));
  return is_on_shelf ? Result<>() : files_->MarkUsed(name);
}

size_t ShelvedStorage::memory_bytes() {
  size_t bytes = 0;
  for (const auto& shelf : shelves_) bytes += shelf->memory_bytes();
  return bytes;
}

}  // namespace shoal
