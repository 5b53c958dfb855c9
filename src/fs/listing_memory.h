// What the listings of a mount take together, those that are kept and those that are being read,
// and how much was planned for them.
//
// Who is given more asks first whether it is used up, and then holds less of what it has: see
// DirectoryListing. It is not refused. Thread-safe; takes no lock.
#pragma once

#include <atomic>
#include <cstdint>

namespace shoal {

class ListingMemory {
 public:
  explicit ListingMemory(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  ListingMemory(const ListingMemory&) = delete;
  ListingMemory& operator=(const ListingMemory&) = delete;

  void SetMax(uint64_t bytes_max) { bytes_max_ = bytes_max; }

  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] uint64_t free_bytes() const {
    const uint64_t used = used_bytes_;
    const uint64_t max = bytes_max_;
    return used < max ? max - used : 0;
  }
  [[nodiscard]] bool used_up() const { return free_bytes() == 0; }

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
  std::atomic<uint64_t> bytes_max_;
  std::atomic<uint64_t> used_bytes_ = 0;
};

}  // namespace shoal
