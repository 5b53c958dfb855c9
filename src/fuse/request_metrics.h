// What the kernel asks, how long the answers take, and which of them are errors. Counted where
// answers leave, so whatever the transport. Files that the kernel reads by itself
// (passthrough) show as opens only.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/metric.h"
#include "base/metric_report.h"

namespace shoal {

// Thread-safe.
class RequestMetrics {
 public:
  enum class Kind : uint8_t { kLookup, kGetAttributes, kOpen, kRead, kReadDirectory, kOther };
  static constexpr size_t kKindCount = 6;

  // `clock` outlives this.
  explicit RequestMetrics(const Clock& clock) : clock_(clock) {}

  [[nodiscard]] Instant Now() const { return clock_.Now(); }
  // `error`: an errno, or 0. A name that is not there is an answer, not an error.
  void Answered(uint32_t opcode, Instant received, int error, size_t body_bytes);
  // The kernel was given a file of `size_bytes` to read by itself.
  void PassedThrough(uint64_t size_bytes) {
    passed_opens_.Add();
    passed_bytes_.Add(size_bytes);
  }

  void ReportTo(MetricReport& report) const;
  [[nodiscard]] const Histogram& latency(Kind kind) const {
    return latencies_[static_cast<size_t>(kind)];
  }
  [[nodiscard]] uint64_t error_count(Kind kind) const {
    return errors_[static_cast<size_t>(kind)].Value();
  }
  // Files and directories that are open: those opened less those released.
  [[nodiscard]] uint64_t open_file_count() const { return NotBelowZero(open_files_); }
  [[nodiscard]] uint64_t open_directory_count() const { return NotBelowZero(open_directories_); }
  [[nodiscard]] const Counter& read_bytes() const { return read_bytes_; }
  [[nodiscard]] const Counter& passed_opens() const { return passed_opens_; }
  [[nodiscard]] const Counter& passed_bytes() const { return passed_bytes_; }

 private:
  void CountOpen(uint32_t opcode);

  const Clock& clock_;
  std::array<Histogram, kKindCount> latencies_ = MakeEach<Histogram>(
      "shoal_request_duration_seconds", "Time from a request of the kernel to its answer");
  std::array<Counter, kKindCount> errors_ = MakeEach<Counter>(
      "shoal_request_errors_total", "Requests of the kernel answered with an error");
  Counter read_bytes_{"shoal_read_bytes_total", "Bytes answered to reads"};
  Counter passed_opens_{"shoal_passthrough_opens_total",
                        "Opens of files that the kernel then reads by itself from the cache"};
  Counter passed_bytes_{"shoal_passthrough_opened_bytes_total",
                        "Sizes of the files that the kernel then reads by itself, added up"};

  std::atomic<int64_t> open_files_{0};
  std::atomic<int64_t> open_directories_{0};

  // What a session before this one opened is released in this one.
  static uint64_t NotBelowZero(const std::atomic<int64_t>& count) {
    return static_cast<uint64_t>(std::max<int64_t>(0, count.load(std::memory_order_relaxed)));
  }
  template <class Metric>
  static std::array<Metric, kKindCount> MakeEach(std::string_view name, std::string_view doc) {
    return {Metric{name, doc}, Metric{name, doc}, Metric{name, doc},
            Metric{name, doc}, Metric{name, doc}, Metric{name, doc}};
  }
};

}  // namespace shoal
