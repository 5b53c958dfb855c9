// One limit of bytes a second for all who fetch: each waits here for its turn. First come,
// first served, demand before warm-up (traffic_bucket.h). Thread-safe; no lock is held while
// waiting or while `wanted` is asked.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>

#include "base/clock.h"
#include "base/mutex.h"
#include "cache/traffic_bucket.h"

namespace shoal {

class TrafficLimit {
 public:
  using Lane = TrafficBucket::Lane;
  enum class Turn : uint8_t { kCame, kUnwanted, kTooLate };

  // Bytes a second; 0: no limit. `clock` outlives it.
  explicit TrafficLimit(uint64_t rate, const Clock& clock)
      : clock_(clock), rate_(rate), bucket_(rate, clock.Now()) {}

  // From now on, also for those who wait.
  void SetRate(uint64_t rate);
  [[nodiscard]] uint64_t rate() const { return rate_; }

  // Waits for the turn to pass on `bytes`: until the deadline, and for as long as `wanted` says
  // so, which is asked ten times a second. They count in any case: they have crossed the network.
  Turn Await(Lane lane, uint64_t bytes, Deadline deadline, const std::function<bool()>& wanted);

 private:
  struct Waiter {
    CondVar may_be_next;
  };
  using Line = std::list<Waiter*>;

  Line& LineOf(Lane lane) REQUIRES(mutex_) { return lane == Lane::kDemand ? demand_ : warmup_; }
  [[nodiscard]] Waiter* Next() REQUIRES(mutex_);  // null: nobody waits
  void WakeNext() REQUIRES(mutex_);

  const Clock& clock_;
  std::atomic<uint64_t> rate_;  // the bucket's

  Mutex mutex_;
  TrafficBucket bucket_ GUARDED_BY(mutex_);
  Line demand_ GUARDED_BY(mutex_);
  Line warmup_ GUARDED_BY(mutex_);
};

}  // namespace shoal
