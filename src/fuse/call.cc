#include "fuse/call.h"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "base/start_thread.h"
#include "fuse/interrupt_reason.h"
#include "fuse/kernel_abi.h"

namespace shoal {
namespace {

// How long Ctrl-C may take where another signal came before it: not felt, and next to no work.
constexpr auto kWatchInterval = std::chrono::milliseconds(100);

}  // namespace

bool Call::Claim() {
  const uint8_t before = state_.fetch_or(kClaimed, std::memory_order_acq_rel);
  if (before & kClaimed) return false;
  if (before & kParked) parked_.Remove(unique_);
  return true;
}

ParkedCalls::~ParkedCalls() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    watch_changed_.NotifyAll();
  }
  if (watcher_.joinable()) watcher_.join();
}

void ParkedCalls::Park(const std::shared_ptr<Call>& call) {
  const uint64_t unique = call->unique() & ~kUniqueResent;
  // The process that was asked before may have been told of a signal, and is not here to say so.
  bool interrupted = (call->unique() & kUniqueResent) != 0 && call->caller_ != 0;
  Result<> watches;
  {
    const MutexLock lock(mutex_);
    const auto early = std::find(early_.begin(), early_.end(), unique);
    if (early != early_.end()) {
      interrupted = true;
      early_.erase(early);
    }
    calls_.emplace(unique, call);
    if (!call->is_told_of_all_ && call->caller_ != 0) watches = WatchLocked(*call);
  }
  if (!watches) SayNoneWatches(watches.error());
  if (interrupted) AnswerOrWatch(*call);
  // Who claimed it before this line did not know that there is something to remove.
  const uint8_t before = call->state_.fetch_or(Call::kParked, std::memory_order_acq_rel);
  if (before & Call::kClaimed) Remove(unique);
}

void ParkedCalls::Interrupt(uint64_t unique) {
  unique &= ~kUniqueResent;
  std::shared_ptr<Call> call;
  {
    const MutexLock lock(mutex_);
    const auto found = calls_.find(unique);
    if (found != calls_.end()) {
      call = found->second;
    } else {
      early_.push_back(unique);
      if (early_.size() > kEarlyCountMax) early_.pop_front();
    }
  }
  if (call) AnswerOrWatch(*call);
}

bool ParkedCalls::IsWanted(Call& call) {
  // Those who were killed while they queued for one name come here one after another.
  if (!call.is_told_of_all_ && !call.claimed() && HasReason(call, /*or_gone=*/false)) Answer(call);
  return !call.claimed();
}

bool ParkedCalls::HasReason(const Call& call, bool or_gone) {
  if (call.kind_ == Call::Kind::kPages)
    return or_gone ? IsThreadKilled(call.caller_) : IsThreadSeenKilled(call.caller_);
  return or_gone ? IsThreadInterrupted(call.caller_) : IsThreadSeenInterrupted(call.caller_);
}

void ParkedCalls::Answer(Call& call) {
  if (call.Claim()) fuse_reply_err(call.request(), EINTR);
}

void ParkedCalls::AnswerOrWatch(Call& call) {
  if (HasReason(call, /*or_gone=*/true)) return Answer(call);
  Result<> watches;
  {
    const MutexLock lock(mutex_);
    if (!calls_.contains(call.unique() & ~kUniqueResent)) return;  // answered meanwhile
    watches = WatchLocked(call);
  }
  if (!watches) SayNoneWatches(watches.error());
}

Result<> ParkedCalls::WatchLocked(const Call& call) {
  watched_.emplace(call.unique() & ~kUniqueResent, false);
  if (!watcher_.joinable()) {
    auto watcher = StartThread([this] { Watch(); });
    if (!watcher && std::exchange(limit_was_said_, true)) return {};
    if (!watcher) return tl::unexpected(std::move(watcher).error());
    watcher_ = *std::move(watcher);
  }
  // Over rings most calls are answered long before they are looked at: they wake nobody.
  if (std::exchange(watcher_rests_, false)) watch_changed_.NotifyAll();
  return {};
}

void ParkedCalls::SayNoneWatches(const Error& error) {
  log::Warn("programs that wait may not end at Ctrl-C: {}", error.detail);
}

void ParkedCalls::Watch() {
  pthread_setname_np(pthread_self(), "fuse-interrupt");
  cpus_.Apply();
  while (true) {
    std::vector<std::shared_ptr<Call>> watched;  // let go outside the lock
    {
      const MutexLock lock(mutex_);
      watcher_rests_ = watched_.empty();
      while (!stopping_ && watcher_rests_) watch_changed_.Wait(mutex_);
      const auto look_at = CondVar::In(kWatchInterval);
      while (!stopping_ && watch_changed_.WaitUntil(mutex_, look_at)) continue;
      if (stopping_) return;
      watched = TakeLookLocked();
    }
    for (const std::shared_ptr<Call>& call : watched)
      if (!call->claimed() && HasReason(*call, /*or_gone=*/false)) Answer(*call);
  }
}

// Not of those that came since the last one, of which most will not be there at the next.
std::vector<std::shared_ptr<Call>> ParkedCalls::TakeLookLocked() {
  std::vector<std::shared_ptr<Call>> watched;
  for (auto& [unique, is_due] : watched_)
    if (std::exchange(is_due, true)) watched.push_back(calls_.at(unique));
  return watched;
}

void ParkedCalls::Remove(uint64_t unique) {
  std::shared_ptr<Call> last;  // let go outside the lock
  const MutexLock lock(mutex_);
  const auto found = calls_.find(unique & ~kUniqueResent);
  if (found == calls_.end()) return;
  last = std::move(found->second);
  watched_.erase(found->first);
  calls_.erase(found);
}

}  // namespace shoal
