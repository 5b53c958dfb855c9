// Counters, declared once with the name and unit that every report shows.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace shoal {

// Thread-safe. Relaxed: a counter is never used to order other memory.
class Counter {
 public:
  constexpr Counter(std::string_view name, std::string_view doc) : name_(name), doc_(doc) {}
  // The value before, so that "the first time" can be told from the rest.
  uint64_t Add(uint64_t n = 1) { return value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t Value() const { return value_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::string_view doc() const { return doc_; }

 private:
  std::string_view name_;  // unit last: _total, _bytes, _seconds
  std::string_view doc_;   // one sentence, no full stop
  std::atomic<uint64_t> value_{0};
};

}  // namespace shoal
