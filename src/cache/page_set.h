// Which pages of an object are there: a bit for each. Bits are only ever added.
//
// Thread-safe, without a lock: bytes written before Add are seen by who finds their pages
// with Has. Memory is taken as bits are set, so a set over terabytes costs what is used of it.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace shoal {

class PageSet {
 public:
  explicit PageSet(uint64_t page_count)
      : page_count_(page_count), words_(Allocate(page_count / 64 + 1)) {}

  void Add(uint64_t first, uint64_t count) {
    for (uint64_t page = first; page < first + count;) {
      const uint64_t bit = page % 64;
      const uint64_t here = std::min(64 - bit, first + count - page);
      const uint64_t mask = (here == 64 ? ~uint64_t{0} : (uint64_t{1} << here) - 1) << bit;
      const uint64_t before = Word(page / 64).fetch_or(mask, std::memory_order_release);
      added_count_.fetch_add(static_cast<uint64_t>(std::popcount(mask & ~before)),
                             std::memory_order_release);
      page += here;
    }
  }

  // All of them.
  [[nodiscard]] bool Has(uint64_t first, uint64_t count) const {
    if (full()) return true;
    return NextWithout(first, first + count) == first + count;
  }
  [[nodiscard]] bool Has(uint64_t page) const {
    return (Word(page / 64).load(std::memory_order_acquire) >> page % 64 & 1) != 0;
  }
  // The first page of [from, end) that is there, or is not; `end` if there is none.
  [[nodiscard]] uint64_t NextWith(uint64_t from, uint64_t end) const { return Next(from, end, 0); }
  [[nodiscard]] uint64_t NextWithout(uint64_t from, uint64_t end) const {
    return Next(from, end, ~uint64_t{0});
  }

  [[nodiscard]] bool full() const {
    return added_count_.load(std::memory_order_acquire) == page_count_;
  }
  [[nodiscard]] uint64_t count() const { return added_count_.load(std::memory_order_acquire); }
  [[nodiscard]] uint64_t page_count() const { return page_count_; }

 private:
  struct Free {
    void operator()(uint64_t* words) const { std::free(words); }
  };
  // The system's zero pages, which take no memory until they are written.
  static uint64_t* Allocate(uint64_t word_count) {
    auto* const words = static_cast<uint64_t*>(std::calloc(word_count, sizeof(uint64_t)));
    if (words == nullptr) std::abort();
    return words;
  }
  [[nodiscard]] std::atomic_ref<uint64_t> Word(uint64_t index) const {
    return std::atomic_ref<uint64_t>(words_.get()[index]);
  }
  [[nodiscard]] uint64_t Next(uint64_t from, uint64_t end, uint64_t flip) const {
    for (uint64_t page = from; page < end;) {
      const uint64_t wanted = (Word(page / 64).load(std::memory_order_acquire) ^ flip) >> page % 64;
      if (wanted != 0) return std::min(page + static_cast<uint64_t>(std::countr_zero(wanted)), end);
      page = (page / 64 + 1) * 64;
    }
    return end;
  }

  const uint64_t page_count_;
  std::unique_ptr<uint64_t, Free> words_;
  std::atomic<uint64_t> added_count_{0};
};

}  // namespace shoal
