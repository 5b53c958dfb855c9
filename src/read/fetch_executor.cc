#include "read/fetch_executor.h"

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

constexpr size_t kThreadCountMin = 2;  // one of which is for what a reader waits for

}  // namespace

FetchExecutor::FetchExecutor(size_t thread_count_max)
    : thread_count_max_(std::max(thread_count_max, kThreadCountMin)),
      threads_("shoal-fetch", std::max(thread_count_max, kThreadCountMin)) {}

void FetchExecutor::SetThreadCountMax(size_t thread_count_max) {
  thread_count_max = std::max(thread_count_max, kThreadCountMin);
  {
    const MutexLock lock(mutex_);
    thread_count_max_ = thread_count_max;
  }
  threads_.SetThreadCountMax(thread_count_max);
  while (StartThread()) continue;
}

size_t FetchExecutor::foreseen_count_max() const {
  return thread_count_max_ - std::max<size_t>(thread_count_max_ / 4, 1);
}

void FetchExecutor::Submit(uint64_t id, Urgency urgency, Work work) {
  {
    const MutexLock lock(mutex_);
    (urgency == Urgency::kDemanded ? demanded_ : foreseen_)
        .push_back({id, urgency, std::move(work)});
  }
  StartThread();
}

void FetchExecutor::Promote(uint64_t id) {
  {
    const MutexLock lock(mutex_);
    const auto job = std::find_if(foreseen_.begin(), foreseen_.end(),
                                  [id](const Job& queued) { return queued.id == id; });
    if (job == foreseen_.end()) return;
    job->urgency = Urgency::kDemanded;
    demanded_.push_back(std::move(*job));
    foreseen_.erase(job);
  }
  StartThread();
}

bool FetchExecutor::AnyEligible() const {
  return !demanded_.empty() ||
         (!foreseen_.empty() && foreseen_running_count_ < foreseen_count_max());
}

bool FetchExecutor::StartThread() {
  {
    const MutexLock lock(mutex_);
    // A loop that is not busy is about to look for work and will find this.
    if (!AnyEligible() || loop_count_ >= thread_count_max_ ||
        loop_count_ - busy_count_ >= demanded_.size() + foreseen_.size())
      return false;
    ++loop_count_;
  }
  threads_.Run([this] { Loop(); });
  return true;
}

void FetchExecutor::Loop() {
  while (true) {
    Job job;
    {
      const MutexLock lock(mutex_);
      if (!AnyEligible() || loop_count_ > thread_count_max_) {
        --loop_count_;
        return;
      }
      std::deque<Job>& queue = demanded_.empty() ? foreseen_ : demanded_;
      job = std::move(queue.front());
      queue.pop_front();
      ++busy_count_;
      if (job.urgency == Urgency::kForeseen) ++foreseen_running_count_;
    }
    job.work();
    job.work = nullptr;  // what it holds is let go before the lock is taken
    const MutexLock lock(mutex_);
    --busy_count_;
    if (job.urgency == Urgency::kForeseen) --foreseen_running_count_;
  }
}

}  // namespace shoal
