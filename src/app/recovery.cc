#include "app/recovery.h"

#include <algorithm>

namespace shoal {

std::optional<Duration> Recovery::AfterDeath(Instant now, std::optional<Instant> serving_since,
                                             Duration limit) {
  if (serving_since && now - *serving_since >= kServedForGood) death_count_ = 0;
  if (death_count_ == 0) first_death_ = now;
  ++death_count_;
  if (death_count_ == 1) return Duration::zero();
  constexpr int kDoublingsMax = 10;
  const Duration pause =
      std::min(kPauseMax, kPauseMin * (1 << std::min(death_count_ - 2, kDoublingsMax)));
  if (now + pause - first_death_ >= limit) return std::nullopt;
  return pause;
}

}  // namespace shoal
