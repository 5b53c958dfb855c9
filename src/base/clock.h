// The only sources of time. Nothing else calls std::chrono::*::now(), but for waits (mutex.h).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace shoal {

using Duration = std::chrono::nanoseconds;
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic; for timeouts, ages and rates.
  [[nodiscard]] virtual Instant Now() const = 0;
  // Seconds since the epoch; for signatures, expiry and reports only.
  [[nodiscard]] virtual int64_t UnixSeconds() const = 0;
  // The same, as finely as it is known.
  [[nodiscard]] virtual int64_t UnixMicros() const { return UnixSeconds() * 1'000'000; }
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant Now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] int64_t UnixSeconds() const override {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  [[nodiscard]] int64_t UnixMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

// A point after which waiting is pointless. Passed by value, last.
struct Deadline {
  Instant at = Instant::max();

  static Deadline After(const Clock& clock, Duration wait) { return {clock.Now() + wait}; }
  [[nodiscard]] bool Passed(const Clock& clock) const { return clock.Now() >= at; }
  // Zero once passed.
  [[nodiscard]] Duration Remaining(const Clock& clock) const {
    if (at == Instant::max()) return Duration::max();
    return std::max(Duration::zero(), at - clock.Now());
  }
};

}  // namespace shoal
