// What the kernel asks, how long the answers take, and which of them are errors. Counted where
// answers leave, so whatever the transport. Files that the kernel reads by itself
// (passthrough) show as opens only.
#pragma once

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

  // The kernel holds a handle, and does no more.
  void HandleOpened(bool is_directory) { ++OpenCount(is_directory); }
  void HandleClosed(bool is_directory) { --OpenCount(is_directory); }

  void ReportTo(MetricReport& report) const;
  [[nodiscard]] const Histogram& latency(Kind kind) const {
    return latencies_[static_cast<size_t>(kind)];
  }
  [[nodiscard]] uint64_t error_count(Kind kind) const {
    return errors_[static_cast<size_t>(kind)].Value();
  }
  // Files and directories that are open, be it since a process before this one.
  [[nodiscard]] uint64_t open_file_count() const { return open_files_; }
  [[nodiscard]] uint64_t open_directory_count() const { return open_directories_; }
  [[nodiscard]] const Counter& read_bytes() const { return read_bytes_; }
  [[nodiscard]] const Counter& passed_opens() const { return passed_opens_; }
  [[nodiscard]] const Counter& passed_bytes() const { return passed_bytes_; }

 private:
  std::atomic<uint64_t>& OpenCount(bool is_directory) {
    return is_directory ? open_directories_ : open_files_;
  }

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

  std::atomic<uint64_t> open_files_{0};
  std::atomic<uint64_t> open_directories_{0};

  template <class Metric>
  static std::array<Metric, kKindCount> MakeEach(std::string_view name, std::string_view doc) {
    return {Metric{name, doc}, Metric{name, doc}, Metric{name, doc},
            Metric{name, doc}, Metric{name, doc}, Metric{name, doc}};
  }
};

}  // namespace shoal
