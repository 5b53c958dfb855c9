// Counters and histograms, declared once with the name, unit and sentence that every report
// shows. Names are whole, as Prometheus wants them: shoal_, what is counted, the base unit,
// _total for what only rises.
//
// Thread-safe. Relaxed: a metric is never used to order other memory.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace shoal {

class Counter {
 public:
  constexpr Counter(std::string_view name, std::string_view doc) : name_(name), doc_(doc) {}
  // The value before, so that "the first time" can be told from the rest.
  uint64_t Add(uint64_t n = 1) { return value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t Value() const { return value_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::string_view doc() const { return doc_; }

 private:
  std::string_view name_;
  std::string_view doc_;  // one sentence, no full stop
  std::atomic<uint64_t> value_{0};
};

// How often something took how long: a bucket for each power of two, from 16 microseconds.
class Histogram {
 public:
  static constexpr size_t kBucketCount = 22;  // the last but one ends at 16 s, the last nowhere
  struct Snapshot {
    std::array<uint64_t, kBucketCount> counts{};  // of each bucket alone
    double sum_seconds = 0;

    [[nodiscard]] uint64_t count() const {
      uint64_t count = 0;
      for (const uint64_t n : counts) count += n;
      return count;
    }
    // What was observed since `before`, a snapshot of the same histogram.
    [[nodiscard]] Snapshot Since(const Snapshot& before) const {
      Snapshot since = *this;
      for (size_t i = 0; i < kBucketCount; ++i) since.counts[i] -= before.counts[i];
      since.sum_seconds -= before.sum_seconds;
      return since;
    }
    // The end of the bucket below which this share (0 to 1) of what was observed lies; 0
    // for none.
    [[nodiscard]] double Quantile(double share) const {
      const double wanted = share * static_cast<double>(count());
      double below = 0;
      for (size_t i = 0; i < kBucketCount; ++i) {
        below += static_cast<double>(counts[i]);
        if (counts[i] > 0 && below >= wanted) return BucketEndSeconds(i);
      }
      return 0;
    }
  };

  constexpr Histogram(std::string_view name, std::string_view doc) : name_(name), doc_(doc) {}

  void Observe(Duration took) {
    const auto nanos = static_cast<uint64_t>(std::max<int64_t>(0, took.count()));
    const uint64_t microseconds = (nanos + 999) / 1000;
    // Bucket i holds what took up to 2^(i + 4) microseconds.
    const auto bits = static_cast<int>(std::bit_width(std::max<uint64_t>(microseconds, 1) - 1));
    const auto bucket =
        std::min(static_cast<size_t>(std::max(bits - kFirstBits, 0)), kBucketCount - 1);
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_nanos_.fetch_add(nanos, std::memory_order_relaxed);
  }
  [[nodiscard]] Snapshot Take() const {
    Snapshot snapshot;
    for (size_t i = 0; i < kBucketCount; ++i)
      snapshot.counts[i] = counts_[i].load(std::memory_order_relaxed);
    snapshot.sum_seconds = static_cast<double>(sum_nanos_.load(std::memory_order_relaxed)) / 1e9;
    return snapshot;
  }
  [[nodiscard]] static double BucketEndSeconds(size_t bucket) {
    return static_cast<double>(uint64_t{1} << (bucket + kFirstBits)) / 1e6;
  }
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::string_view doc() const { return doc_; }

 private:
  static constexpr int kFirstBits = 4;

  std::string_view name_;
  std::string_view doc_;
  std::array<std::atomic<uint64_t>, kBucketCount> counts_{};
  std::atomic<uint64_t> sum_nanos_{0};
};

}  // namespace shoal
