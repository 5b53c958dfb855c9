// A request that may have to wait, and how FUSE_INTERRUPT reaches it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>

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
class ParkedCalls {
 public:
  // From now on an interrupt that has a reason (interrupt_reason.h) answers EINTR. One may have
  // come already, as it is read by another thread than its request: then the answer is given here.
  void Park(std::shared_ptr<Call> call);
  // The kernel no longer waits for `unique`. Unknown ones are kept for a while, for Park.
  void Interrupt(uint64_t unique);

 private:
  friend class Call;
  // More are never between being read and being parked; most kept here were answered.
  static constexpr size_t kEarlyCountMax = 64;

  static void AnswerInterrupted(Call& call);
  void Remove(uint64_t unique);

  std::mutex mutex_;  // guards what follows
  std::unordered_map<uint64_t, std::shared_ptr<Call>> calls_;
  std::deque<uint64_t> early_;
};

}  // namespace shoal
