#include "cache/traffic_limit.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr Duration kAskInterval = std::chrono::milliseconds(100);

}  // namespace

void TrafficLimit::SetRate(uint64_t rate) {
  const MutexLock lock(mutex_);
  bucket_.SetRate(rate, clock_.Now());
  rate_ = rate;
  WakeNext();
}

TrafficLimit::Turn TrafficLimit::Await(Lane lane, uint64_t bytes, Deadline deadline,
                                       const std::function<bool()>& wanted) {
  if (rate_ == 0) return Turn::kCame;
  Waiter self;
  const MutexLock lock(mutex_);
  Line& line = LineOf(lane);
  const auto place = line.insert(line.end(), &self);
  Turn turn = Turn::kCame;
  while (true) {
    // Who is not next is woken when he is.
    const Duration wait = Next() == &self ? bucket_.WaitFor(clock_.Now()) : Duration::max();
    if (wait == Duration::zero()) break;
    if (deadline.Passed(clock_)) {
      turn = Turn::kTooLate;
      break;
    }
    const Duration slice = std::min({wait, kAskInterval, deadline.Remaining(clock_)});
    if (self.may_be_next.WaitFor(mutex_, slice) || slice < kAskInterval) continue;
    mutex_.Unlock();
    const bool still_wanted = wanted();
    mutex_.Lock();
    if (!still_wanted) {
      turn = Turn::kUnwanted;
      break;
    }
  }
  line.erase(place);
  const Lane other = lane == Lane::kDemand ? Lane::kWarmup : Lane::kDemand;
  bucket_.Take(lane, bytes, !LineOf(other).empty(), clock_.Now());
  WakeNext();
  return turn;
}

TrafficLimit::Waiter* TrafficLimit::Next() {
  if (demand_.empty() && warmup_.empty()) return nullptr;
  return LineOf(bucket_.Next(!demand_.empty(), !warmup_.empty())).front();
}

void TrafficLimit::WakeNext() {
  if (Waiter* const next = Next()) next->may_be_next.NotifyOne();
}

}  // namespace shoal
