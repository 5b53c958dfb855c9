#include "base/thread_pool.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/start_thread.h"

namespace shoal {

ThreadPool::ThreadPool(std::string name, size_t thread_count_max, int niceness,
                       std::chrono::milliseconds idle_max)
    : name_(std::move(name)),
      niceness_(niceness),
      idle_max_(idle_max),
      thread_count_max_(thread_count_max) {
  const MutexLock lock(mutex_);
  std::thread thread([this] { Loop(); });
  const std::thread::id id = thread.get_id();
  threads_.emplace(id, std::move(thread));
}

ThreadPool::~ThreadPool() {
  const MutexLock lock(mutex_);
  stopping_ = true;
  work_came_.NotifyAll();
  while (!threads_.empty()) thread_ended_.Wait(mutex_);
  JoinEnded();
}

void ThreadPool::JoinEnded() {
  for (std::thread& thread : ended_) thread.join();
  ended_.clear();
}

void ThreadPool::Run(Work work) {
  Result<> added;
  size_t thread_count = 0;
  size_t thread_count_max = 0;
  {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(work));
    if (idle_count_ < queue_.size() && threads_.size() < thread_count_max_) {
      added = AddThread();
      if (added) return;
    }
    work_came_.NotifyOne();
    if (added || std::exchange(limit_was_said_, true)) return;
    thread_count = threads_.size();
    thread_count_max = thread_count_max_;
  }
  log::Warn("{}: calls wait for {} of up to {} threads: {}", name_, thread_count, thread_count_max,
            added.error().detail);
}

void ThreadPool::SetThreadCountMax(size_t thread_count_max) {
  const MutexLock lock(mutex_);
  thread_count_max_ = thread_count_max;
  // For what is queued. Where there may be no more threads, those that are there do it.
  for (size_t count = idle_count_; count < queue_.size() && threads_.size() < thread_count_max_;
       ++count)
    if (!AddThread()) break;
  work_came_.NotifyAll();
}

Result<> ThreadPool::AddThread() {
  JoinEnded();
  ASSIGN_OR_RETURN(std::thread thread, StartThread([this] { Loop(); }));
  const std::thread::id id = thread.get_id();
  threads_.emplace(id, std::move(thread));
  return {};
}

void ThreadPool::Loop() {
  pthread_setname_np(pthread_self(), name_.c_str());
  cpus_.Apply();
  // Linux gives each thread a niceness of its own.
  if (niceness_ != 0) setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness_);
  while (const Work work = NextWork()) work();  // what it holds is let go without the lock
}

ThreadPool::Work ThreadPool::NextWork() {
  const MutexLock lock(mutex_);
  const auto is_one_too_many = [this]()
                                   REQUIRES(mutex_) { return threads_.size() > thread_count_max_; };
  do {
    ++idle_count_;
    const auto idle_until = CondVar::In(idle_max_);
    while (!stopping_ && queue_.empty() && !is_one_too_many() &&
           work_came_.WaitUntil(mutex_, idle_until))
      continue;
    --idle_count_;
    if (is_one_too_many()) break;
    if (queue_.empty()) continue;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    return work;
  } while (!stopping_ && threads_.size() == 1);
  ended_.push_back(std::move(threads_.extract(std::this_thread::get_id()).mapped()));
  thread_ended_.NotifyAll();
  return nullptr;
}

}  // namespace shoal
