// What the listings of a mount take together that are being read, or were a moment ago, and how
// much was planned for them. Those that are kept are not of these: see DirectoryCache.
//
// Nobody is refused more. Where it is used up, who has more than its least holds less of what it
// has: see DirectoryListing. Thread-safe; takes no lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/bytes.h"

namespace shoal {

class ListingMemory {
 public:
  explicit ListingMemory(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  ListingMemory(const ListingMemory&) = delete;
  ListingMemory& operator=(const ListingMemory&) = delete;

  [[nodiscard]] uint64_t bytes_max() const { return bytes_max_; }
  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] uint64_t free_bytes() const {
    const uint64_t used = used_bytes_;
    return used < bytes_max_ ? bytes_max_ - used : 0;
  }
  // What each may have even so: at best enough for one that is short enough to be kept.
  [[nodiscard]] uint64_t least_bytes() const {
    return std::clamp<uint64_t>(bytes_max_ / 8, 256 * kKiB, 2 * kMiB);
  }

  // What one of them takes; gives it back at its end.
  class Share {
   public:
    explicit Share(ListingMemory& memory) : memory_(memory) {}
    ~Share() { Set(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // Not by two threads at a time.
    void Set(uint64_t bytes) {
      memory_.used_bytes_ += bytes - bytes_;
      bytes_ = bytes;
    }

   private:
    ListingMemory& memory_;
    uint64_t bytes_ = 0;
  };

 private:
  const uint64_t bytes_max_;
  std::atomic<uint64_t> used_bytes_ = 0;
};

}  // namespace shoal
