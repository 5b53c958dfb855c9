// Memory for chunks on their way to or from a medium.
//
// It is kept when it is given back: fresh memory costs a page fault every 4 KiB, which at these
// rates is a third of what filling a cache costs. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/mutex.h"

namespace shoal {

inline constexpr uint64_t kChunkBytesMax = kMiB;

// Outlives what was taken from it.
class ChunkPool {
 public:
  struct GiveBack {
    ChunkPool* pool = nullptr;  // null: the memory is the system's
    size_t size_class = 0;
    void operator()(std::byte* bytes) const {
      if (pool == nullptr) {
        delete[] bytes;
      } else {
        pool->Keep(std::unique_ptr<std::byte[]>(bytes), size_class);
      }
    }
  };
  using Memory = std::shared_ptr<std::byte[]>;

  // Its bytes may hold anything.
  Memory Take(uint64_t size_bytes) EXCLUDES(mutex_) {
    // A small one would waste most of its class; a large one has none.
    if (size_bytes <= kClassBytes / 2 || size_bytes > kChunkBytesMax)
      return Memory(new std::byte[size_bytes], GiveBack{});
    const size_t size_class = (size_bytes - 1) / kClassBytes;
    std::unique_ptr<std::byte[]> bytes;
    {
      const MutexLock lock(mutex_);
      std::vector<std::unique_ptr<std::byte[]>>& kept = kept_[size_class];
      if (!kept.empty()) {
        bytes = std::move(kept.back());  // the one that is most likely in the processor's cache
        kept.pop_back();
        kept_bytes_ -= BytesOf(size_class);
      }
    }
    if (bytes == nullptr) bytes.reset(new std::byte[BytesOf(size_class)]);
    return Memory(bytes.release(), GiveBack{this, size_class});
  }

  // For tests: what is kept for who takes memory next.
  [[nodiscard]] uint64_t kept_bytes() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return kept_bytes_;
  }

  static constexpr uint64_t kKeptBytesMax = 16 * kMiB;

 private:
  // Memory comes in multiples of this.
  static constexpr uint64_t kClassBytes = 64 * kKiB;
  static constexpr size_t kClassCount = kChunkBytesMax / kClassBytes;
  static constexpr uint64_t BytesOf(size_t size_class) { return (size_class + 1) * kClassBytes; }

  void Keep(std::unique_ptr<std::byte[]> bytes, size_t size_class) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (kept_bytes_ + BytesOf(size_class) > kKeptBytesMax) return;
    kept_bytes_ += BytesOf(size_class);
    kept_[size_class].push_back(std::move(bytes));
  }

  mutable Mutex mutex_;
  std::array<std::vector<std::unique_ptr<std::byte[]>>, kClassCount> kept_ GUARDED_BY(mutex_);
  uint64_t kept_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
