// The threads that fetch. What a reader waits for goes before what was only foreseen,
// which may take three quarters of the threads and no more: a reader never waits behind
// read-ahead for a thread. Within each kind, first come first served.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "base/mutex.h"
#include "base/thread_pool.h"

namespace shoal {

class FetchExecutor {
 public:
  enum class Urgency : uint8_t { kDemanded, kForeseen };
  using Work = std::function<void()>;

  explicit FetchExecutor(size_t thread_count_max);
  // Runs what is queued and waits for it.
  ~FetchExecutor() = default;

  // Never blocks. `id` names the work for Promote.
  void Submit(uint64_t id, Urgency urgency, Work work) EXCLUDES(mutex_);
  // A reader waits for it now. No effect once it runs.
  void Promote(uint64_t id) EXCLUDES(mutex_);
  // From now on. What runs goes on.
  void SetThreadCountMax(size_t thread_count_max) EXCLUDES(mutex_);

 private:
  struct Job {
    uint64_t id;
    Urgency urgency;
    Work work;
  };

  // Never all of the threads.
  [[nodiscard]] size_t foreseen_count_max() const REQUIRES(mutex_);
  [[nodiscard]] bool AnyEligible() const REQUIRES(mutex_);
  // False: none is needed, or there may be no more.
  bool StartThread() EXCLUDES(mutex_);
  void Loop() EXCLUDES(mutex_);

  Mutex mutex_;
  size_t thread_count_max_ GUARDED_BY(mutex_);
  std::deque<Job> demanded_ GUARDED_BY(mutex_);
  std::deque<Job> foreseen_ GUARDED_BY(mutex_);
  size_t loop_count_ GUARDED_BY(mutex_) = 0;
  size_t busy_count_ GUARDED_BY(mutex_) = 0;  // loops that run a job
  size_t foreseen_running_count_ GUARDED_BY(mutex_) = 0;

  ThreadPool threads_;  // last: its destructor waits for Loop, which uses the rest
};

}  // namespace shoal
