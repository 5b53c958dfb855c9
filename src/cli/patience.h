// How long a command that asks a mount again and again waits for an answer. Pure.
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/result.h"

namespace shoal {

// The process that answers may be replaced at any time, and then has its port a moment later, maybe
// another one.
class Patience {
 public:
  // Several of the pauses that the keeper makes at most before it starts another process.
  static constexpr Duration kWaitMax = std::chrono::seconds(15);

  // Whether to ask again, after `error`: not for ever, and only where nobody answered.
  bool AfterFailure(const Error& error, Instant now) {
    if (error.code != Errc::kUnreachable && error.code != Errc::kTimedOut) return false;
    if (!failing_since_) failing_since_ = now;
    return now - *failing_since_ < kWaitMax;
  }
  void AfterAnswer() { failing_since_.reset(); }

 private:
  std::optional<Instant> failing_since_;
};

}  // namespace shoal
