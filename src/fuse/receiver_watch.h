// ReceiverWatch: since when each of the threads that receive requests has been in one. They
// never wait for the store, so whoever is in one request for long is stuck, and what the
// kernel asks may wait behind it for ever.
//
// Each thread says so in a seat of its own, by one relaxed store when it takes a request and
// one when it is done with it. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>

#include "base/clock.h"
#include "base/mutex.h"

namespace shoal {

class ReceiverWatch {
 public:
  // Of one thread; alone on its cache line, since it is written at every request.
  class alignas(64) Seat {
   public:
    void Begin(Instant now) {
      began_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    }
    void End() { began_.store(kIdle, std::memory_order_relaxed); }

   private:
    friend class ReceiverWatch;
    static constexpr Instant::rep kIdle = Instant::max().time_since_epoch().count();
    std::atomic<Instant::rep> began_{kIdle};
  };

  // As long as the watch.
  [[nodiscard]] Seat& AddSeat() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return seats_.emplace_back();
  }

  // For how long the one that has been in its request longest is in it; zero if none is in any.
  [[nodiscard]] Duration Longest(Instant now) const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    Duration longest = Duration::zero();
    for (const Seat& seat : seats_) {
      const Instant began(Duration(seat.began_.load(std::memory_order_relaxed)));
      if (began < now) longest = std::max(longest, now - began);
    }
    return longest;
  }

 private:
  mutable Mutex mutex_;
  std::deque<Seat> seats_ GUARDED_BY(mutex_);
};

}  // namespace shoal
