// MeasuredStore: how often the store is asked, how long it takes, what comes of it, and how it
// is doing. Thread-safe.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metric.h"
#include "base/metric_report.h"
#include "base/mutex.h"
#include "origin/object_store.h"

namespace shoal {

class StoreMetrics {
 public:
  enum class Kind : uint8_t { kHead, kGet, kList, kUsage };
  static constexpr size_t kKindCount = 4;

  // `error`: null for success. kNotFound and kChanged are answers, kInterrupted is the caller's.
  // `key`: of one object, or empty.
  void Ended(Kind kind, Duration took, const Error* error, std::string_view key);
  // Of an object, as they come.
  void Received(uint64_t bytes) { received_bytes_.Add(bytes); }

  void ReportTo(MetricReport& report) const;
  [[nodiscard]] const Histogram& latency(Kind kind) const {
    return latencies_[static_cast<size_t>(kind)];
  }
  [[nodiscard]] const Counter& received_bytes() const { return received_bytes_; }
  [[nodiscard]] uint64_t error_count(Kind kind) const {
    return errors_[static_cast<size_t>(kind)].Value();
  }
  // What the store, or nobody, last answered, if that is a reason to fear for the next
  // request; empty when it answers as it should, or was never asked. One object that is
  // refused is its own affair; two different ones in a row, or a listing, are not.
  [[nodiscard]] std::optional<Error> trouble() const EXCLUDES(mutex_);

 private:
  template <class Metric>
  static std::array<Metric, kKindCount> MakeEach(std::string_view name, std::string_view doc) {
    return {Metric{name, doc}, Metric{name, doc}, Metric{name, doc}, Metric{name, doc}};
  }

  std::array<Histogram, kKindCount> latencies_ = MakeEach<Histogram>(
      "shoal_origin_request_duration_seconds", "Time of a call of the store, retries included");
  std::array<Counter, kKindCount> errors_ =
      MakeEach<Counter>("shoal_origin_errors_total", "Calls of the store that failed for good");
  Counter received_bytes_{"shoal_origin_received_bytes_total", "Bytes of objects from the store"};
  mutable Mutex mutex_;
  std::optional<Error> trouble_ GUARDED_BY(mutex_);
  std::string refused_key_ GUARDED_BY(mutex_);  // since the last answer; empty: none
};

class MeasuredStore final : public ObjectStore {
 public:
  // `metrics` and `clock` outlive it.
  MeasuredStore(std::unique_ptr<ObjectStore> next, StoreMetrics& metrics, const Clock& clock)
      : next_(std::move(next)), metrics_(metrics), clock_(clock) {}

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override;
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline deadline) override;
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override;
  Result<BucketUsage> Usage(Deadline deadline) override;
  void SetConnectionCountMax(size_t count_max) override { next_->SetConnectionCountMax(count_max); }

 private:
  template <class Call>
  auto Measure(StoreMetrics::Kind kind, std::string_view key, Call call);

  const std::unique_ptr<ObjectStore> next_;
  StoreMetrics& metrics_;
  const Clock& clock_;
};

}  // namespace shoal
