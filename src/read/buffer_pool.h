// Memory for bytes on their way to readers: one budget, and the buffers taken from it.
//
// Most buffers are of one size, a whole segment; where small files of one size are read,
// most are of theirs. They are kept when given back, and the last one is taken first, because
// a buffer whose pages are mapped and still in the CPU's cache costs nothing to fill, and a
// fresh one a page fault every 4 KiB. Taken and kept together never exceed the budget, but for
// what was taken when that was larger.
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace shoal {

// Owns pages of the system. Empty when default-made or moved from.
class Buffer {
 public:
  Buffer() = default;
  // `size_bytes` > 0, rounded up to whole pages. Ends the process when the system has
  // no memory left, as operator new does.
  explicit Buffer(uint64_t size_bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] uint64_t size_bytes() const { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  uint64_t size_bytes_ = 0;
};

class BufferPool {
 public:
  BufferPool(uint64_t budget_bytes, uint64_t segment_bytes)
      : budget_bytes_(budget_bytes), segment_bytes_(segment_bytes) {}

  // What a buffer for `length_bytes` takes from the budget.
  static uint64_t ChargeOf(uint64_t length_bytes);

  // REQUIRES: ChargeOf(length_bytes) <= free_bytes().
  Buffer Take(uint64_t length_bytes);
  void GiveBack(Buffer buffer);
  // From now on. What is taken beyond it stays taken.
  void SetBudget(uint64_t budget_bytes);
  // Returns kept buffers to the system, all but a few.
  void Trim();

  [[nodiscard]] uint64_t budget_bytes() const { return budget_bytes_; }
  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] uint64_t peak_bytes() const { return peak_bytes_; }
  [[nodiscard]] uint64_t free_bytes() const {
    return budget_bytes_ - std::min(used_bytes_, budget_bytes_);
  }
  [[nodiscard]] uint64_t kept_bytes() const { return kept_bytes_; }

 private:
  Buffer TakeKept(uint64_t size_bytes);  // empty if none is
  // Gives one of the largest kept back to the system. False: none was.
  bool DropOne();

  uint64_t budget_bytes_;
  const uint64_t segment_bytes_;
  uint64_t used_bytes_ = 0;
  uint64_t peak_bytes_ = 0;
  uint64_t kept_bytes_ = 0;
  uint64_t kept_small_bytes_ = 0;                 // of those smaller than a segment
  std::map<uint64_t, std::vector<Buffer>> kept_;  // by size; none empty
};

}  // namespace shoal
