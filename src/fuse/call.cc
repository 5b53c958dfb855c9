#include "fuse/call.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fuse/interrupt_reason.h"
#include "fuse/kernel_abi.h"

namespace shoal {

bool Call::Claim() {
  const uint8_t before = state_.fetch_or(kClaimed, std::memory_order_acq_rel);
  if (before & kClaimed) return false;
  if (before & kParked) parked_.Remove(unique_);
  return true;
}

void ParkedCalls::Park(std::shared_ptr<Call> call) {
  const uint64_t unique = call->unique() & ~kUniqueResent;
  bool interrupted = false;
  {
    const std::scoped_lock lock(mutex_);
    const auto early = std::find(early_.begin(), early_.end(), unique);
    interrupted = early != early_.end();
    if (interrupted) early_.erase(early);
    calls_.emplace(unique, call);
  }
  if (interrupted) AnswerInterrupted(*call);
  // Who claimed it before this line did not know that there is something to remove.
  const uint8_t before = call->state_.fetch_or(Call::kParked, std::memory_order_acq_rel);
  if (before & Call::kClaimed) Remove(unique);
}

void ParkedCalls::Interrupt(uint64_t unique) {
  unique &= ~kUniqueResent;
  std::shared_ptr<Call> call;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = calls_.find(unique);
    if (found != calls_.end()) {
      call = found->second;
    } else {
      early_.push_back(unique);
      if (early_.size() > kEarlyCountMax) early_.pop_front();
    }
  }
  if (call) AnswerInterrupted(*call);
}

void ParkedCalls::AnswerInterrupted(Call& call) {
  if (IsThreadInterrupted(call.caller_) && call.Claim()) fuse_reply_err(call.request(), EINTR);
}

void ParkedCalls::Remove(uint64_t unique) {
  std::shared_ptr<Call> last;  // let go outside the lock
  const std::scoped_lock lock(mutex_);
  const auto found = calls_.find(unique & ~kUniqueResent);
  if (found == calls_.end()) return;
  last = std::move(found->second);
  calls_.erase(found);
}

}  // namespace shoal
