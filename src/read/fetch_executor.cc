#include "read/fetch_executor.h"

#include <algorithm>
#include <utility>

namespace shoal {

FetchExecutor::FetchExecutor(size_t thread_count_max)
    : thread_count_max_(std::max<size_t>(thread_count_max, 2)),
      foreseen_count_max_(thread_count_max_ - std::max<size_t>(thread_count_max_ / 4, 1)),
      threads_("shoal-fetch", thread_count_max_) {}

void FetchExecutor::Submit(uint64_t id, Urgency urgency, Work work) {
  {
    const MutexLock lock(mutex_);
    (urgency == Urgency::kDemanded ? demanded_ : foreseen_)
        .push_back({id, urgency, std::move(work)});
  }
  StartThreads();
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
  StartThreads();
}

bool FetchExecutor::AnyEligible() const {
  return !demanded_.empty() ||
         (!foreseen_.empty() && foreseen_running_count_ < foreseen_count_max_);
}

void FetchExecutor::StartThreads() {
  {
    const MutexLock lock(mutex_);
    // A loop that is not busy is about to look for work and will find this.
    if (!AnyEligible() || loop_count_ == thread_count_max_ ||
        loop_count_ - busy_count_ >= demanded_.size() + foreseen_.size())
      return;
    ++loop_count_;
  }
  threads_.Run([this] { Loop(); });
}

void FetchExecutor::Loop() {
  while (true) {
    Job job;
    {
      const MutexLock lock(mutex_);
      if (!AnyEligible()) {
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
