// QuietTime: until when the store asked to be left alone (Retry-After). Whoever hears it
// tells, whoever is about to try again asks, and whoever it serves ends it. Thread-safe.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace shoal {

class QuietTime {
 public:
  // Never ends earlier than told before, but by Over().
  void AskedUntil(Instant until) {
    const int64_t asked_ns = until.time_since_epoch().count();
    int64_t known_ns = until_ns_.load(std::memory_order_relaxed);
    while (known_ns < asked_ns &&
           !until_ns_.compare_exchange_weak(known_ns, asked_ns, std::memory_order_relaxed)) {
    }
  }
  void Over() { until_ns_.store(0, std::memory_order_relaxed); }
  // Zero when it is over.
  [[nodiscard]] Duration Remaining(const Clock& clock) const {
    return Deadline{Instant(Duration(until_ns_.load(std::memory_order_relaxed)))}.Remaining(clock);
  }

 private:
  std::atomic<int64_t> until_ns_{0};
};

}  // namespace shoal
