// Threads made as they are needed, up to a bound, for calls that wait.
//
// Work runs in the order it came. Past `thread_count_max` running, it queues.
// A thread with nothing to do for ten seconds ends. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "base/cpu_mask.h"

namespace shoal {

class ThreadPool {
 public:
  using Work = std::function<void()>;

  // Its threads run where the calling one may, whoever makes them. `name` (15 bytes at most) is
  // what ps -L and gdb show; `niceness` is that of nice(1).
  ThreadPool(std::string name, size_t thread_count_max, int niceness = 0);
  // Runs what is queued, waits for it, and ends. Nothing may call Run by then.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Run(Work work);

 private:
  void Loop();

  const std::string name_;
  const size_t thread_count_max_;
  const int niceness_;
  const CpuMask cpus_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable work_came_;
  std::condition_variable thread_ended_;
  std::deque<Work> queue_;
  size_t thread_count_ = 0;
  size_t idle_count_ = 0;
  bool stopping_ = false;
};

}  // namespace shoal
