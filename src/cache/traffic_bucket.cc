#include "cache/traffic_bucket.h"

#include <algorithm>
#include <cmath>

namespace shoal {
namespace {

// To one of warm-up.
constexpr int64_t kDemandParts = 9;
constexpr double kWaitSecondsMax = 3600;

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void TrafficBucket::SetRate(uint64_t rate, Instant now) {
  balance_bytes_ = rate_ == 0 || rate == 0 ? 0 : BalanceAt(now);
  filled_at_ = now;
  rate_ = rate;
}

Duration TrafficBucket::WaitFor(Instant now) const {
  const double balance_bytes = BalanceAt(now);
  if (rate_ == 0 || balance_bytes >= 0) return Duration::zero();
  const double seconds = std::min(-balance_bytes / static_cast<double>(rate_), kWaitSecondsMax);
  return Duration(static_cast<int64_t>(std::ceil(seconds * 1e9)));
}

TrafficBucket::Lane TrafficBucket::Next(bool demand_waits, bool warmup_waits) const {
  if (demand_waits && warmup_waits) return warmup_due_ > 0 ? Lane::kWarmup : Lane::kDemand;
  return demand_waits ? Lane::kDemand : Lane::kWarmup;
}

void TrafficBucket::Take(Lane lane, uint64_t bytes, bool contended, Instant now) {
  balance_bytes_ = BalanceAt(now) - static_cast<double>(bytes);
  filled_at_ = now;
  const auto taken = static_cast<int64_t>(bytes);
  if (!contended) {
    warmup_due_ = 0;
  } else {
    warmup_due_ += lane == Lane::kDemand ? taken : -kDemandParts * taken;
  }
}

double TrafficBucket::BalanceAt(Instant now) const {
  const auto rate = static_cast<double>(rate_);
  return std::min(balance_bytes_ + rate * Seconds(now - filled_at_), rate * Seconds(kBurst));
}

}  // namespace shoal
