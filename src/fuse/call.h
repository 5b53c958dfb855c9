// A request that may have to wait, and how FUSE_INTERRUPT reaches it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/cpu_mask.h"
#include "base/mutex.h"
#include "base/result.h"
#include "fuse/decoder.h"
#include "fuse/low_level.h"

namespace shoal {

class ParkedCalls;

// One request, answered by whoever claims it first: the work, or an interrupt.
class Call {
 public:
  // For pages a program waits on when it catches a signal, as it does on a disk: if a read of some
  // failed by one, read(2) would fail, or a look at a mapping be SIGBUS. Only what is killed is not
  // waited for.
  enum class Kind : uint8_t { kPages, kOther };

  Call(Kind kind, fuse_req_t request, const ReplyPort& port, ParkedCalls& parked)
      : kind_(kind),
        request_(request),
        unique_(port.unique),
        caller_(fuse_req_ctx(request)->pid),
        is_told_of_all_(port.TellsOfEarlierSignals()),
        parked_(parked) {}

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

  const Kind kind_;
  const fuse_req_t request_;
  const uint64_t unique_;      // the kernel's
  const pid_t caller_;         // a thread; 0: none that can be looked at
  const bool is_told_of_all_;  // ReplyPort::TellsOfEarlierSignals
  ParkedCalls& parked_;
  std::atomic<uint8_t> state_{0};
};

// The calls an interrupt can reach. Thread-safe. Outlives every unclaimed call.
//
// The kernel sends one interrupt a request, for the first signal. Where that one was no reason
// (interrupt_reason.h), or the call was asked of another process before, a thread looks for another
// until the call is claimed (of a call for pages, for its end alone). It does so for every call
// that came over a ring: of a signal that was there before the request, as of a program that was
// killed while it queued in the kernel, the kernel does not tell there.
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
  // For a parked call whose work is about to begin. False: it needs none, as it is answered.
  bool IsWanted(Call& call);

 private:
  friend class Call;
  // More are never between being read and being parked; most kept here were answered.
  static constexpr size_t kEarlyCountMax = 64;

  static void Answer(Call& call);
  // Whether the thread is seen to have a reason; `or_gone`: or not to be there any more.
  static bool HasReason(const Call& call, bool or_gone);
  void AnswerOrWatch(Call& call);
  // The error, once: there is no thread that watches, and may be none. The next
  // call that is to be watched tries again, and for the others as well.
  Result<> WatchLocked(const Call& call) REQUIRES(mutex_);
  static void SayNoneWatches(const Error& error);
  void Watch();
  [[nodiscard]] std::vector<std::shared_ptr<Call>> TakeLookLocked() REQUIRES(mutex_);
  void Remove(uint64_t unique);

  const CpuMask cpus_;  // of the thread that made this; the watcher is made by a pinned one

  Mutex mutex_;
  CondVar watch_changed_;
  std::unordered_map<uint64_t, std::shared_ptr<Call>> calls_ GUARDED_BY(mutex_);
  // Of calls_: for no reason so far. True: since before the last look.
  std::unordered_map<uint64_t, bool> watched_ GUARDED_BY(mutex_);
  bool watcher_rests_ GUARDED_BY(mutex_) = true;
  std::deque<uint64_t> early_ GUARDED_BY(mutex_);
  std::thread watcher_;  // from the first that is watched
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool limit_was_said_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal
