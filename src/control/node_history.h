// What a node did in each of the last seconds, made from counters that only rise. Pure: time
// is when Add is called. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "base/metric.h"
#include "cache/counted_source.h"

namespace shoal {

// What programs asked of the mount, then what the mount asked of the store.
inline constexpr size_t kOperationCount = 7;
struct OperationName {
  std::string_view name;
  std::string_view side;  // "mount" or "store"
};
inline constexpr std::array<OperationName, kOperationCount> kOperations = {{{"read", "mount"},
                                                                            {"open", "mount"},
                                                                            {"lookup", "mount"},
                                                                            {"readdir", "mount"},
                                                                            {"GET", "store"},
                                                                            {"HEAD", "store"},
                                                                            {"LIST", "store"}}};
inline constexpr size_t kReadOperation = 0;

// Since the start.
struct NodeTotals {
  struct Operation {
    Histogram::Snapshot latency;
    uint64_t error_count = 0;
  };
  std::array<uint64_t, kPlaceCount> place_bytes{};  // given to readers
  // Files handed to the kernel when they were opened, and their sizes. What it reads of them is in
  // nothing here.
  uint64_t passed_open_count = 0;
  uint64_t passed_bytes = 0;
  uint64_t fetched_bytes = 0;
  double cpu_seconds = 0;
  std::array<Operation, kOperationCount> operations;
};

class NodeHistory {
 public:
  static constexpr size_t kSecondCountMax = 600;
  static constexpr size_t kOperationSecondCount = 60;

  struct Second {
    std::array<uint64_t, kPlaceCount> place_bytes{};
    uint64_t passed_open_count = 0;
    uint64_t passed_bytes = 0;
    uint64_t fetched_bytes = 0;
    uint64_t read_count = 0;
    uint64_t error_count = 0;
    double cpu_cores = 0;
    std::optional<double> read_p50_seconds;  // empty: nothing was read
    std::optional<double> read_p99_seconds;
  };

  // At the end of each second.
  void Add(const NodeTotals& totals);

  // The oldest first, at most kSecondCountMax.
  [[nodiscard]] const std::deque<Second>& seconds() const { return seconds_; }
  // Of each operation, in the last kOperationSecondCount seconds.
  [[nodiscard]] std::array<NodeTotals::Operation, kOperationCount> LastMinute() const;

 private:
  std::deque<NodeTotals> totals_;  // of the last minute, and of the moment before it
  std::deque<Second> seconds_;
};

}  // namespace shoal
