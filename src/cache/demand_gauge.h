// Whether readers are waiting for the origin. Fetches that nobody waits for look here and
// give way. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace shoal {

class DemandGauge {
 public:
  struct Reading {
    uint64_t under_way_count = 0;
    Instant quiet_since{};  // when the last fetch ended; of no meaning while any is under way
  };

  // One fetch of a reader, while it lives.
  class Fetch {
   public:
    explicit Fetch(DemandGauge& gauge) : gauge_(gauge) { ++gauge_.under_way_count_; }
    ~Fetch() {
      gauge_.quiet_since_ns_ = gauge_.clock_.Now().time_since_epoch().count();
      --gauge_.under_way_count_;
    }
    Fetch(const Fetch&) = delete;
    Fetch& operator=(const Fetch&) = delete;

   private:
    DemandGauge& gauge_;
  };

  // `clock` outlives it.
  explicit DemandGauge(const Clock& clock) : clock_(clock) {}

  [[nodiscard]] Reading Read() const {
    const uint64_t count = under_way_count_;
    return {.under_way_count = count, .quiet_since = Instant(Duration(quiet_since_ns_.load()))};
  }

 private:
  const Clock& clock_;
  std::atomic<uint64_t> under_way_count_{0};
  std::atomic<int64_t> quiet_since_ns_{INT64_MIN / 2};  // long ago
};

}  // namespace shoal
