#include "app/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace shoal {

Result<Duration> Recovery::AfterDeath(Instant now, std::optional<Instant> serving_since,
                                      Duration limit) {
  while (!deaths_.empty() && now - deaths_.front() >= std::chrono::minutes(1)) deaths_.pop_front();
  if (serving_since) {
    deaths_.push_back(now);
    ++served_death_count_;
  }
  if (deaths_.size() > kDeathsAMinuteMax)
    return Fail(Errc::kBusy, fmt::format("{} workers died within a minute", deaths_.size()));
  if (serving_since && now - *serving_since >= kServedForGood) death_count_ = 0;
  if (death_count_ == 0) first_death_ = now;
  ++death_count_;
  if (death_count_ == 1) return Duration::zero();
  constexpr size_t kDoublingsMax = 10;
  const Duration pause =
      std::min(kPauseMax, kPauseMin * (1 << std::min(death_count_ - 2, kDoublingsMax)));
  if (now + pause - first_death_ >= limit)
    return Fail(Errc::kTimedOut,
                fmt::format("no worker came back within {} s",
                            std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
  return pause;
}

}  // namespace shoal
