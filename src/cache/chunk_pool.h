// Memory for chunks on their way to or from a medium.
//
// Most chunks are of one size. Their memory is kept when it is given back: fresh memory costs
// a page fault every 4 KiB, which at these rates is a third of what filling a cache costs.
// Thread-safe.
#pragma once

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
    void operator()(std::byte* bytes) const {
      if (pool == nullptr) {
        delete[] bytes;
      } else {
        pool->Keep(std::unique_ptr<std::byte[]>(bytes));
      }
    }
  };
  using Memory = std::shared_ptr<std::byte[]>;

  // Its bytes may hold anything.
  Memory Take(uint64_t size_bytes) EXCLUDES(mutex_) {
    // A small chunk would waste most of it; a large one does not fit.
    if (size_bytes <= kChunkBytesMax / 2 || size_bytes > kChunkBytesMax)
      return Memory(new std::byte[size_bytes], GiveBack{});
    {
      const MutexLock lock(mutex_);
      if (!kept_.empty()) {
        Memory memory(kept_.back().release(), GiveBack{this});
        kept_.pop_back();
        return memory;
      }
    }
    return Memory(new std::byte[kChunkBytesMax], GiveBack{this});
  }

 private:
  static constexpr size_t kKeptMax = 16;

  void Keep(std::unique_ptr<std::byte[]> bytes) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (kept_.size() < kKeptMax) kept_.push_back(std::move(bytes));
  }

  Mutex mutex_;
  std::vector<std::unique_ptr<std::byte[]>> kept_ GUARDED_BY(mutex_);
};

}  // namespace shoal
