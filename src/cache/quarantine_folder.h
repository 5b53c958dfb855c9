// The folder of what was found damaged: a few of the last, for somebody to look at. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

class QuarantineFolder {
 public:
  // `shown` is its name in messages. Errors, here and below, are CacheStorage's.
  static Result<std::unique_ptr<QuarantineFolder>> Open(FileDescriptor folder, std::string shown);

  // Moves a file out of its folder, under the same name; one that is not there is no error.
  Result<> MoveHere(int folder_fd, const std::string& file);
  // Writes a copy of bytes that have no file of their own.
  Result<> Write(const std::string& file, std::span<const std::byte> bytes);
  // After either: lets the oldest of more than a few go.
  Result<> LetOldestGo();

  // The folder itself included.
  [[nodiscard]] uint64_t block_count() const {
    return block_count_.load(std::memory_order_relaxed);
  }

 private:
  QuarantineFolder(FileDescriptor folder, std::string shown)
      : folder_(std::move(folder)), shown_(std::move(shown)) {}

  const FileDescriptor folder_;
  const std::string shown_;
  std::atomic<uint64_t> block_count_{0};
};

}  // namespace shoal
