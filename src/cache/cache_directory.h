// A CacheStorage of two files an object, its bytes and its meta, in 256 folders of a directory
// that open_cache_directory.h has checked and locked, or of the memory tier's medium.
//
// The directory is trusted with nothing. It belongs to this process's user, mode 0700;
// names are digests; what is opened is opened below a descriptor, follows no link, and is
// a plain file of ours with one name, or is removed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "base/result.h"
#include "cache/cache_storage.h"
#include "cache/counted_blocks.h"
#include "cache/quarantine_folder.h"

namespace shoal {

class CacheDirectory final : public CacheStorage {
 public:
  // `lock` is kept for as long as this lives: the directory is nobody else's until then.
  // `in_memory`: it is the medium (memory_medium.h), and `root` is on it.
  CacheDirectory(std::string name, bool in_memory, FileDescriptor root, FileDescriptor lock)
      : name_(std::move(name)),
        in_memory_(in_memory),
        root_(std::move(root)),
        lock_(std::move(lock)) {}

  // Once, before it is used.
  Result<> Prepare(uint64_t capacity_bytes);
  // After Prepare; it lives as long as this.
  [[nodiscard]] QuarantineFolder& quarantine() { return *quarantine_; }

  Result<std::unique_ptr<StoredObject>> Open(const ObjectDigest& name) override;
  Result<std::unique_ptr<StoredObject>> Create(const ObjectDigest& name,
                                               uint64_t size_bytes) override;
  Result<> Remove(const ObjectDigest& name) override;
  bool IsMapped(const ObjectDigest& name) override;
  Result<> Quarantine(const ObjectDigest& name) override;
  Result<> Scan(const std::function<bool(const Found&)>& visit) override {
    return ScanFolders(/*clean=*/false, visit);
  }
  Result<> ScanAndClean(const std::function<bool(const Found&)>& visit) override {
    return ScanFolders(/*clean=*/true, visit);
  }
  Result<> MarkUsed(const ObjectDigest& name) override;
  Result<> SyncAll() override;
  Result<Room> GetRoom() override;
  [[nodiscard]] uint64_t own_block_count() override;
  Result<> Resize(uint64_t capacity_bytes) override;  // in memory also before Prepare
  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  static constexpr size_t kFolderCount = 256;

  // Kept open from its first use. Reading makes none: that would wait where the file system
  // is frozen.
  Result<int> Folder(std::string_view hex, bool make) EXCLUDES(folders_mutex_);
  Result<> ScanFolders(bool clean, const std::function<bool(const Found&)>& visit);
  // False: `visit` wanted no more.
  Result<bool> ScanFolder(int folder, const std::string& prefix, bool clean,
                          const std::function<bool(const Found&)>& visit);

  const std::string name_;
  const bool in_memory_;
  const FileDescriptor root_;
  const FileDescriptor lock_;
  std::unique_ptr<QuarantineFolder> quarantine_;  // constant after Prepare
  std::atomic<uint64_t> medium_bytes_{0};         // in memory: what it was made for

  Mutex folders_mutex_;
  // Never closed.
  std::array<FileDescriptor, kFolderCount> folders_ GUARDED_BY(folders_mutex_);
  std::array<CountedBlocks, kFolderCount> folder_blocks_;
  CountedBlocks root_blocks_;
  BlockSum block_sum_;  // of both
};

}  // namespace shoal
