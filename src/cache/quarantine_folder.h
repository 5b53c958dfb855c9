// The folder of what was found damaged, for somebody to look at: the last eight objects, in a
// small share of the cache's capacity. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "base/result.h"

namespace shoal {

class QuarantineFolder {
 public:
  // What it may take of a cache of that capacity: a sixteenth, and 64 MiB at most.
  static uint64_t BlocksMaxOf(uint64_t capacity_bytes);

  // `shown` is its name in messages. Errors, here and below, are CacheStorage's.
  static Result<std::unique_ptr<QuarantineFolder>> Open(FileDescriptor folder, std::string shown,
                                                        uint64_t capacity_bytes);

  // Moves the object's two files, `name`.data and `name`.meta, out of their folder; one that
  // is not there is no error.
  Result<> MoveHere(int folder_fd, const std::string& name) EXCLUDES(mutex_);
  // Writes what was in an object that has no files of its own.
  Result<> Write(const std::string& name, std::span<const std::byte> data,
                 std::span<const std::byte> meta) EXCLUDES(mutex_);

  // Asks the medium nothing.
  void SetCapacity(uint64_t capacity_bytes) {
    blocks_max_.store(BlocksMaxOf(capacity_bytes), std::memory_order_relaxed);
  }
  // Lets go what is too much since the capacity became smaller.
  Result<> KeepWithinCapacity() EXCLUDES(mutex_);

  // The folder itself included.
  [[nodiscard]] uint64_t block_count() const {
    return block_count_.load(std::memory_order_relaxed);
  }

 private:
  QuarantineFolder(FileDescriptor folder, std::string shown, uint64_t capacity_bytes)
      : folder_(std::move(folder)),
        shown_(std::move(shown)),
        blocks_max_(BlocksMaxOf(capacity_bytes)) {}

  // Lets objects go that are too large by themselves, and then the oldest.
  Result<> KeepFew() REQUIRES(mutex_);

  const FileDescriptor folder_;
  const std::string shown_;
  Mutex mutex_;  // one at a time comes, or an object would be counted while half of it is here
  std::atomic<uint64_t> blocks_max_;  // of the objects
  std::atomic<uint64_t> kept_block_count_{0};
  std::atomic<uint64_t> block_count_{0};
};

}  // namespace shoal
