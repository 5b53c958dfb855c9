#include "fuse/call.h"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/log.h"
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
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    watch_changed_.notify_all();
  }
  if (watcher_.joinable()) watcher_.join();
}

void ParkedCalls::Park(const std::shared_ptr<Call>& call) {
  const uint64_t unique = call->unique() & ~kUniqueResent;
  // The process that was asked before may have been told of a signal, and is not here to say so.
  bool interrupted = (call->unique() & kUniqueResent) != 0 && call->caller_ != 0;
  {
    const std::scoped_lock lock(mutex_);
    const auto early = std::find(early_.begin(), early_.end(), unique);
    if (early != early_.end()) {
      interrupted = true;
      early_.erase(early);
    }
    calls_.emplace(unique, call);
  }
  if (interrupted) AnswerOrWatch(*call);
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
  if (call) AnswerOrWatch(*call);
}

bool ParkedCalls::AnswerIfReason(Call& call) {
  if (!IsThreadInterrupted(call.caller_)) return false;
  if (call.Claim()) fuse_reply_err(call.request(), EINTR);
  return true;
}

void ParkedCalls::AnswerOrWatch(Call& call) {
  if (AnswerIfReason(call)) return;
  const uint64_t unique = call.unique() & ~kUniqueResent;
  Result<> watches;
  {
    const std::scoped_lock lock(mutex_);
    if (!calls_.contains(unique)) return;  // answered meanwhile
    watched_.insert(unique);
    watches = StartWatcher();
    watch_changed_.notify_all();
    if (watches || std::exchange(limit_was_said_, true)) return;
  }
  log::Warn("programs that wait may not end at Ctrl-C: {}", watches.error().detail);
}

Result<> ParkedCalls::StartWatcher() {
  if (watcher_.joinable()) return {};
  ASSIGN_OR_RETURN(watcher_, StartThread([this] { Watch(); }));
  return {};
}

void ParkedCalls::Watch() {
  pthread_setname_np(pthread_self(), "fuse-interrupt");
  cpus_.Apply();
  std::unique_lock lock(mutex_);
  while (true) {
    watch_changed_.wait(lock, [this] { return stopping_ || !watched_.empty(); });
    if (watch_changed_.wait_for(lock, kWatchInterval, [this] { return stopping_; })) return;
    std::vector<std::shared_ptr<Call>> watched = WatchedLocked();
    lock.unlock();
    for (const std::shared_ptr<Call>& call : watched)
      if (!call->claimed()) AnswerIfReason(*call);
    watched.clear();  // let go outside the lock
    lock.lock();
  }
}

std::vector<std::shared_ptr<Call>> ParkedCalls::WatchedLocked() const {
  std::vector<std::shared_ptr<Call>> watched;
  watched.reserve(watched_.size());
  for (const uint64_t unique : watched_) watched.push_back(calls_.at(unique));
  return watched;
}

void ParkedCalls::Remove(uint64_t unique) {
  std::shared_ptr<Call> last;  // let go outside the lock
  const std::scoped_lock lock(mutex_);
  const auto found = calls_.find(unique & ~kUniqueResent);
  if (found == calls_.end()) return;
  last = std::move(found->second);
  watched_.erase(found->first);
  calls_.erase(found);
}

}  // namespace shoal
