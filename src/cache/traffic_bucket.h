// How much may be fetched now, and whose turn it is, under a limit of bytes a second.
//
// A bucket that fills at the rate of the limit. Whoever takes from one that is not in debt may
// take more than there is, and the next waits until that is paid: so over any time t no more
// than rate * (t + kBurst) and one turn is taken, and turns may be of any size.
//
// Demand goes before warm-up, which gets what demand leaves; but where both wait it gets
// a tenth, so that its requests do not all run out of time behind readers who never pause.
//
// A function of what it is told: no clock, no lock. Not thread-safe.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace shoal {

class TrafficBucket {
 public:
  enum class Lane : uint8_t { kDemand, kWarmup };

  // What was not taken is kept for so long: more than a thread that sleeps oversleeps, or the
  // rate would never be reached.
  static constexpr Duration kBurst = std::chrono::milliseconds(50);

  // Bytes a second; 0: no limit.
  TrafficBucket(uint64_t rate, Instant now) : rate_(rate), filled_at_(now) {}

  // What was taken at the rate before stays taken.
  void SetRate(uint64_t rate, Instant now);
  [[nodiscard]] uint64_t rate() const { return rate_; }

  // How long until something may be taken; zero: now.
  [[nodiscard]] Duration WaitFor(Instant now) const;
  // Whose turn it is then. REQUIRES: somebody waits.
  [[nodiscard]] Lane Next(bool demand_waits, bool warmup_waits) const;
  // `contended`: the other lane waits as well.
  void Take(Lane lane, uint64_t bytes, bool contended, Instant now);

 private:
  [[nodiscard]] double BalanceAt(Instant now) const;

  uint64_t rate_;
  double balance_bytes_ = 0;  // at filled_at_; less than 0: a debt
  Instant filled_at_;
  int64_t warmup_due_ = 0;  // of its tenth, times nine; more than 0: it is its turn
};

}  // namespace shoal
