// A request that may have to wait, and how FUSE_INTERRUPT reaches it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/cpu_mask.h"
#include "base/result.h"
#include "fuse/low_level.h"

namespace shoal {

class ParkedCalls;

// One request, answered by whoever claims it first: the work, or an interrupt.
class Call {
 public:
  Call(fuse_req_t request, uint64_t unique, ParkedCalls& parked)
      : request_(request), unique_(unique), caller_(fuse_req_ctx(request)->pid), parked_(parked) {}

  // True once: that caller then replies to request(). False: somebody else did, the
  // session may be gone, and what the work made (a handle, a reference) has no owner.
  bool Claim();
  [[nodiscard]] bool claimed() const { return state_.load(std::memory_order_acquire) & kClaimed; }

  [[nodiscard]] fuse_req_t request() const { return request_; }
  [[nodiscard]] uint64_t unique() const { return unique_; }

 private:
  friend class ParkedCalls;
  static constexpr uint8_t kClaimed = 1;
  static constexpr uint8_t kParked = 2;

  const fuse_req_t request_;
  const uint64_t unique_;  // the kernel's
  const pid_t caller_;     // a thread
  ParkedCalls& parked_;
  std::atomic<uint8_t> state_{0};
};

// The calls an interrupt can reach. Thread-safe. Outlives every unclaimed call.
//
// The kernel sends one interrupt a request, for the first signal. Where that one was no reason
// (interrupt_reason.h), or the call was asked of another process before, a thread looks for another
// until the call is claimed.
class ParkedCalls {
 public:
  ParkedCalls() = default;
  // Nothing may call Park or Interrupt by then.
  ~ParkedCalls();
  ParkedCalls(const ParkedCalls&) = delete;
  ParkedCalls& operator=(const ParkedCalls&) = delete;

  // From now on an interrupt is answered EINTR once it has a reason. One may have come already,
  // as it is read by another thread than its request: then the answer is given here.
  void Park(const std::shared_ptr<Call>& call);
  // The kernel no longer waits for `unique`. Unknown ones are kept for a while, for Park.
  void Interrupt(uint64_t unique);

 private:
  friend class Call;
  // More are never between being read and being parked; most kept here were answered.
  static constexpr size_t kEarlyCountMax = 64;

  // False: there is no reason now.
  static bool AnswerIfReason(Call& call);
  void AnswerOrWatch(Call& call);
  // If there is none, under the lock. Where there may be no more threads the next call that is to
  // be watched tries again, and for the others as well.
  Result<> StartWatcher();
  void Watch();
  [[nodiscard]] std::vector<std::shared_ptr<Call>> WatchedLocked() const;
  void Remove(uint64_t unique);

  const CpuMask cpus_;  // of the thread that made this; the watcher is made by a pinned one

  std::mutex mutex_;  // guards what follows
  std::condition_variable watch_changed_;
  std::unordered_map<uint64_t, std::shared_ptr<Call>> calls_;
  std::unordered_set<uint64_t> watched_;  // of calls_: interrupted for no reason so far
  std::deque<uint64_t> early_;
  std::thread watcher_;  // from the first that is watched
  bool stopping_ = false;
  bool limit_was_said_ = false;
};

}  // namespace shoal
