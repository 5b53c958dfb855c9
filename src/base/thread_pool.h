// Threads made as they are needed, up to a bound, for calls that wait.
//
// Work runs in the order it came. Past `thread_count_max` running, it queues. A thread with nothing
// to do for ten seconds ends, but for the last: it runs what is queued where the process may have
// no more threads, which is said once. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_mask.h"
#include "base/mutex.h"
#include "base/result.h"

namespace shoal {

class ThreadPool {
 public:
  using Work = std::function<void()>;

  // Its threads run where the calling one may, whoever makes them. `name` (15 bytes at most) is
  // what ps -L and gdb show; `niceness` is that of nice(1). Where there may not be even one thread
  // it throws, as std::thread does: see start_thread.h.
  ThreadPool(std::string name, size_t thread_count_max, int niceness = 0,
             std::chrono::milliseconds idle_max = std::chrono::seconds(10));
  // Runs what is queued, waits for it, and ends. Nothing may call Run by then.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Run(Work work);
  // At least 1. From now on; of threads that are too many each ends after what it runs.
  void SetThreadCountMax(size_t thread_count_max);

 private:
  // One more. The error: there may be no more.
  Result<> AddThread() REQUIRES(mutex_);
  void JoinEnded() REQUIRES(mutex_);  // they need it no more
  void Loop();
  Work NextWork();  // null: the thread is to end

  const std::string name_;
  const int niceness_;
  const std::chrono::milliseconds idle_max_;
  const CpuMask cpus_;

  Mutex mutex_;
  CondVar work_came_;
  CondVar thread_ended_;
  size_t thread_count_max_ GUARDED_BY(mutex_);
  std::deque<Work> queue_ GUARDED_BY(mutex_);
  std::map<std::thread::id, std::thread> threads_ GUARDED_BY(mutex_);
  // On their way out. They are joined before the pool is gone: one that were still about to end
  // would clean up after itself while the process does, on its way out, too.
  std::vector<std::thread> ended_ GUARDED_BY(mutex_);
  size_t idle_count_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool limit_was_said_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal
