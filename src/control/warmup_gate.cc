#include "control/warmup_gate.h"

#include <chrono>

namespace shoal {
namespace {

// Demand does not tell when it ends. One of those that wait looks, for all.
constexpr Duration kLooksEvery = std::chrono::milliseconds(5);

}  // namespace

WarmupGate::Pass WarmupGate::Enter(uint64_t bytes, const std::function<bool()>& given_up) {
  const MutexLock lock(mutex_);
  const auto may_start = [&]() REQUIRES(mutex_) {
    return WarmupPace{.request_count_max = width_.count()}.MayStart(bytes, state_, demand_.Read(),
                                                                    clock_.Now());
  };
  while (!given_up() && !may_start()) {
    if (someone_looks_) {
      changed_.Wait(mutex_);
    } else {
      someone_looks_ = true;
      changed_.WaitFor(mutex_, kLooksEvery);
      someone_looks_ = false;
    }
  }
  ++state_.request_count;
  state_.request_bytes += bytes;
  changed_.NotifyOne();  // the next one may go too, or has to look
  return Pass(*this, bytes);
}

size_t WarmupGate::width() {
  const MutexLock lock(mutex_);
  return width_.count();
}

void WarmupGate::SetRequestCountMax(size_t request_count_max) {
  const MutexLock lock(mutex_);
  width_.SetCountMax(request_count_max);
}

void WarmupGate::WakeAll() {
  const MutexLock lock(mutex_);
  changed_.NotifyAll();
}

void WarmupGate::Leave(uint64_t bytes, Instant began) {
  const MutexLock lock(mutex_);
  --state_.request_count;
  state_.request_bytes -= bytes;
  state_.ended = clock_.Now();
  state_.took = state_.ended - began;
  if (WarmupPace::HasDemand(demand_.Read(), state_.ended)) {
    width_.StartAnew();
  } else if (bytes > 0) {  // else it was one that lists
    width_.Ended(bytes, state_.ended);
  }
  changed_.NotifyOne();
}

}  // namespace shoal
