// What files take on their file system: as it counts them, and as much as it may yet take.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>

#include "base/mutex.h"
#include "cache/guarded_files.h"

namespace shoal {

// What a file system may take, when it writes a file's bytes out, to say where they are, if none of
// the pieces lies beside the one before it: a few fit into the inode. A block of 4 KiB has room for
// 340 in ext4, and for 251 in XFS, which leaves half of it empty when it splits one.
inline uint64_t TreeBlocksFor(uint64_t piece_count) {
  constexpr uint64_t kPiecesWithoutTree = 4;
  constexpr uint64_t kPiecesOfABlock = 125;
  return piece_count <= kPiecesWithoutTree ? 0 : 1 + piece_count / kPiecesOfABlock;
}

// A sum of counts that others keep. Thread-safe; asked for at each write of a cache.
class BlockSum {
 public:
  void Replace(uint64_t before, uint64_t now) {
    sum_.fetch_add(now - before, std::memory_order_relaxed);  // modulo 2^64
  }
  [[nodiscard]] uint64_t value() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> sum_{0};
};

// Of a directory, as last counted, in a sum. Thread-safe.
class CountedBlocks {
 public:
  void Count(int fd, BlockSum& sum) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);  // or an older count would come after a newer one
    struct stat status {};
    if (fstat(fd, &status) != 0) return;
    sum.Replace(count_, BlocksOf(status));
    count_ = BlocksOf(status);
  }

 private:
  Mutex mutex_;
  uint64_t count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
