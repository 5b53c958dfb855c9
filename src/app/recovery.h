// When a worker that died is started again, and when there is no more point in it. Pure.
//
// At once the first time; then after pauses that double, until one has served for a while.
// Requests wait meanwhile, and so does everybody who asks the mount something. A request that
// ends each worker that takes it must not do so for ever: there is a bound to deaths a minute.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "base/clock.h"
#include "base/result.h"

namespace shoal {

class Recovery {
 public:
  // A worker that serves so long came back for good.
  static constexpr Duration kServedForGood = std::chrono::seconds(1);
  static constexpr Duration kPauseMin = std::chrono::milliseconds(100);
  static constexpr Duration kPauseMax = std::chrono::seconds(5);
  // Of workers that had served.
  static constexpr size_t kDeathsAMinuteMax = 20;

  // A worker died at `now`; `serving_since` is empty if it did not get so far. How long to wait
  // before the next is started. kTimedOut: for `limit` none has come back for good; kBusy: they
  // die too often.
  Result<Duration> AfterDeath(Instant now, std::optional<Instant> serving_since, Duration limit);

  // One that served was ended on purpose: that is no death, and what was before says nothing of
  // the next one.
  void AfterPlannedEnd() {
    death_count_ = 0;
    served_death_count_ = 0;
  }

  // Deaths since one served for good, or those in the last minute of workers that had served,
  // whichever are more; since the last planned end.
  [[nodiscard]] size_t recent_death_count() const {
    return std::max(death_count_, std::min(served_death_count_, deaths_.size()));
  }

  // When the one that is started has to serve.
  [[nodiscard]] Deadline deadline(Duration limit) const { return {first_death_ + limit}; }

 private:
  size_t death_count_ = 0;  // since one served for good
  Instant first_death_{};
  std::deque<Instant> deaths_;     // in the last minute, of workers that had served
  size_t served_death_count_ = 0;  // of those, since the last planned end and longer ago as well
};

}  // namespace shoal
