// Whether a volume of the cache may be used: after a failure it is on probation, and comes
// back when a trial works. Thread-safe.
//
// A volume on probation costs readers nothing: they go on to the next source.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"

namespace shoal {

class VolumeHealth {
 public:
  VolumeHealth(std::string name, const Clock& clock) : name_(std::move(name)), clock_(clock) {}

  [[nodiscard]] bool usable() const { return usable_.load(std::memory_order_acquire); }

  // Said once in the log for each time it goes on probation.
  void OnFailure(const std::string& why) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (usable_.exchange(false))
      log::Warn("the cache at {} is not used until it works again: {}", name_, why);
    reason_ = why;
    wait_ = std::clamp(wait_ * 2, kWaitMin, kWaitMax);
    next_trial_ = clock_.Now() + wait_;
  }
  void OnTrialPassed() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    wait_ = Duration::zero();
    if (!usable_.exchange(true)) log::Info("the cache at {} works again", name_);
  }
  // Why it is not usable; empty when it is.
  [[nodiscard]] std::string reason() const EXCLUDES(mutex_) {
    if (usable()) return {};
    const MutexLock lock(mutex_);
    return reason_;
  }
  // Time for a trial.
  [[nodiscard]] bool TrialIsDue() const EXCLUDES(mutex_) {
    if (usable()) return false;
    const MutexLock lock(mutex_);
    return clock_.Now() >= next_trial_;
  }

 private:
  static constexpr Duration kWaitMin = std::chrono::seconds(1);
  static constexpr Duration kWaitMax = std::chrono::seconds(60);

  const std::string name_;
  const Clock& clock_;
  std::atomic<bool> usable_{true};
  mutable Mutex mutex_;
  std::string reason_ GUARDED_BY(mutex_);
  Duration wait_ GUARDED_BY(mutex_){};
  Instant next_trial_ GUARDED_BY(mutex_){};
};

}  // namespace shoal
