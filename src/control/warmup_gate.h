// Where requests of warm-up wait until warmup_pace.h lets them go, as many at once as
// warmup_width.h finds worth it. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/mutex.h"
#include "cache/demand_gauge.h"
#include "control/warmup_pace.h"
#include "control/warmup_width.h"

namespace shoal {

class WarmupGate {
 public:
  // A request that may be made, until it is let go.
  class Pass {
   public:
    ~Pass() { gate_.Leave(bytes_, began_); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    friend class WarmupGate;
    Pass(WarmupGate& gate, uint64_t bytes) : gate_(gate), bytes_(bytes) {}

    WarmupGate& gate_;
    const uint64_t bytes_;
    const Instant began_ = gate_.clock_.Now();
  };

  // `demand` and `clock` outlive it.
  WarmupGate(const DemandGauge& demand, size_t request_count_max, const Clock& clock)
      : demand_(demand), clock_(clock), width_(request_count_max) {}

  // Waits until a request for so many bytes may start, or `given_up` says, when asked now and
  // then, that nobody wants it any more; then it starts all the same, and should end at once.
  [[nodiscard]] Pass Enter(uint64_t bytes, const std::function<bool()>& given_up);
  // How many threads have something to do here. It changes.
  [[nodiscard]] size_t width();
  // From now on.
  void SetRequestCountMax(size_t request_count_max);
  // For who gives up: asks at once.
  void WakeAll();

 private:
  void Leave(uint64_t bytes, Instant began);

  const DemandGauge& demand_;
  const Clock& clock_;

  Mutex mutex_;
  CondVar changed_;
  WarmupPace::State state_ GUARDED_BY(mutex_);
  WarmupWidth width_ GUARDED_BY(mutex_);
  bool someone_looks_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal
