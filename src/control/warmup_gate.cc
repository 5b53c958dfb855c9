#include "control/warmup_gate.h"

#include <chrono>

namespace shoal {
namespace {

// Demand does not tell when it ends. One of those that wait looks, for all.
constexpr Duration kLooksEvery = std::chrono::milliseconds(5);

}  // namespace

WarmupGate::Pass WarmupGate::Enter(uint64_t bytes, const std::function<bool()>& given_up) {
  std::unique_lock lock(mutex_);
  const auto may_start = [&] {
    return WarmupPace{.request_count_max = width_.count()}.MayStart(bytes, state_, demand_.Read(),
                                                                    clock_.Now());
  };
  while (!given_up() && !may_start()) {
    if (someone_looks_) {
      changed_.wait(lock);
    } else {
      someone_looks_ = true;
      changed_.wait_for(lock, kLooksEvery);
      someone_looks_ = false;
    }
  }
  ++state_.request_count;
  state_.request_bytes += bytes;
  changed_.notify_one();  // the next one may go too, or has to look
  return Pass(*this, bytes);
}

size_t WarmupGate::width() {
  const std::scoped_lock lock(mutex_);
  return width_.count();
}

void WarmupGate::WakeAll() {
  const std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

void WarmupGate::Leave(uint64_t bytes, Instant began) {
  const std::scoped_lock lock(mutex_);
  --state_.request_count;
  state_.request_bytes -= bytes;
  state_.ended = clock_.Now();
  state_.took = state_.ended - began;
  if (WarmupPace::HasDemand(demand_.Read(), state_.ended)) {
    width_.StartAnew();
  } else if (bytes > 0) {  // else it was one that lists
    width_.Ended(bytes, state_.ended);
  }
  changed_.notify_one();
}

}  // namespace shoal
