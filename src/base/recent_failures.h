// What a store has just failed to answer, so that repeats of it need not wait for that as well.
//
// The kernel lets one program ask for a name or a page while others wait, and when that fails each
// of them asks the same again, one after another. Were each asked of a store that is gone, the
// last would wait for as many deadlines as there are programs.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace shoal {

// `What` was asked: a key, a range. Not thread-safe.
template <class What>
class RecentFailures {
 public:
  // From the failure on; repeats do not prolong it. The kernel's come within milliseconds, and a
  // store that works again is to be used soon.
  static constexpr Duration kKeptFor = std::chrono::seconds(1);

  // Of more than `count_max` the newest are kept.
  explicit RecentFailures(size_t count_max) : count_max_(count_max) {}

  // Not kept, if the error is an answer: only no answer is worth no other wait.
  void Add(What what, const Error& error, Instant now) {
    if (error.code != Errc::kTimedOut && error.code != Errc::kUnreachable &&
        error.code != Errc::kBusy)
      return;
    DropOld(now);
    if (failures_.size() >= count_max_) failures_.pop_front();
    failures_.push_back({std::move(what), error, now + kKeptFor});
  }

  // How what `is_meant` says failed; null: not recently. Valid until the next call.
  template <class Predicate>
  const Error* Find(Predicate is_meant, Instant now) {
    DropOld(now);
    for (const Failure& failure : failures_)
      if (is_meant(failure.what)) return &failure.error;
    return nullptr;
  }

 private:
  struct Failure {
    What what;
    Error error;
    Instant until;
  };

  void DropOld(Instant now) {
    while (!failures_.empty() && failures_.front().until <= now) failures_.pop_front();
  }

  const size_t count_max_;
  std::deque<Failure> failures_;  // the oldest first
};

}  // namespace shoal
