// Whether a request of warm-up may start: readers come first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/clock.h"
#include "cache/demand_gauge.h"

namespace shoal {

struct WarmupPace {
  // Demand is over when it has been quiet for so long: a reader that waits for one fetch
  // after the other is quiet between them.
  static constexpr Duration kQuietFor = std::chrono::milliseconds(20);
  // While there is demand, one request at a time, and so many times as long as it took none:
  // a reader with one connection then loses a tenth of the link at most.
  static constexpr int kRestFactor = 4;
  // On their way at once: when demand begins, it waits for no more than this.
  static constexpr uint64_t kBytesMax = 64 * kMiB;

  size_t request_count_max = 0;

  // What is under way, and the request that ended last.
  struct State {
    size_t request_count = 0;
    uint64_t request_bytes = 0;
    Instant ended{};
    Duration took{};
  };

  [[nodiscard]] constexpr bool MayStart(uint64_t bytes, const State& state,
                                        const DemandGauge::Reading& demand, Instant now) const {
    if (state.request_count == 0 && !HasDemand(demand, now)) return true;
    if (HasDemand(demand, now))
      return state.request_count == 0 && now - state.ended >= state.took * kRestFactor;
    // One that lists, or asks for one object, need not wait for those that load.
    const size_t count_max = request_count_max + (bytes == 0 ? 1 : 0);
    return state.request_count < count_max && state.request_bytes + bytes <= kBytesMax;
  }

  static constexpr bool HasDemand(const DemandGauge::Reading& demand, Instant now) {
    return demand.under_way_count > 0 || now - demand.quiet_since < kQuietFor;
  }
};

}  // namespace shoal
