#include "read/fetch_executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace shoal {
namespace {

using enum FetchExecutor::Urgency;

// Jobs that say when they run and end when told.
class FetchExecutorTest : public testing::Test {
 protected:
  FetchExecutor::Work Job(std::string name) {
    return [this, name = std::move(name)] {
      std::unique_lock lock(mutex_);
      started_.push_back(name);
      if (name == "foreseen") ++foreseen_running_count_;
      foreseen_running_count_max_ = std::max(foreseen_running_count_max_, foreseen_running_count_);
      changed_.notify_all();
      changed_.wait(lock, [this] { return allowed_count_ > 0; });
      --allowed_count_;
      changed_.notify_all();
      if (name == "foreseen") --foreseen_running_count_;
    };
  }
  void WaitForStarted(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return started_.size() >= count; });
  }
  void EndJobs(size_t count) {
    const std::lock_guard lock(mutex_);
    allowed_count_ += count;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> started_;
  size_t allowed_count_ = 0;
  size_t foreseen_running_count_ = 0;
  size_t foreseen_running_count_max_ = 0;
};

TEST_F(FetchExecutorTest, ReadAheadLeavesAQuarterOfTheThreadsFree) {
  {
    FetchExecutor executor(4);
    for (uint64_t id = 1; id <= 40; ++id) executor.Submit(id, kForeseen, Job("foreseen"));
    WaitForStarted(3);
    executor.Submit(41, kDemanded, Job("demanded"));
    WaitForStarted(4);
    EXPECT_EQ(started_.back(), "demanded");
    EndJobs(41);
  }
  EXPECT_EQ(foreseen_running_count_max_, 3);
}

TEST_F(FetchExecutorTest, DemandOvertakesReadAheadThatIsQueued) {
  FetchExecutor executor(2);
  executor.Submit(1, kDemanded, Job("first"));
  executor.Submit(2, kDemanded, Job("second"));
  WaitForStarted(2);
  executor.Submit(3, kForeseen, Job("foreseen"));
  executor.Submit(4, kForeseen, Job("promoted"));
  executor.Submit(5, kDemanded, Job("demanded"));
  executor.Promote(4);
  executor.Promote(1);   // runs already
  executor.Promote(99);  // never was
  for (size_t count = 3; count <= 5; ++count) {
    EndJobs(1);
    WaitForStarted(count);
  }
  EXPECT_EQ(std::vector(started_.begin() + 2, started_.end()),
            (std::vector<std::string>{"demanded", "promoted", "foreseen"}));
  EndJobs(2);
}

TEST_F(FetchExecutorTest, MoreRunAtOnceWhenTheBoundRisesAndFewerWhenItFalls) {
  FetchExecutor executor(2);
  for (uint64_t id = 1; id <= 20; ++id) executor.Submit(id, kDemanded, Job("job"));
  WaitForStarted(2);
  executor.SetThreadCountMax(8);
  WaitForStarted(8);
  executor.SetThreadCountMax(3);
  EndJobs(5);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return allowed_count_ == 0; });
  }
  EndJobs(1);
  WaitForStarted(9);
  {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(started_.size(), 9) << "five of eight were too many";
  }
  EndJobs(14);
}

TEST_F(FetchExecutorTest, EndingRunsAllThatIsQueued) {
  {
    FetchExecutor executor(3);
    EndJobs(100);
    for (uint64_t id = 1; id <= 100; ++id)
      executor.Submit(id, id % 2 == 0 ? kDemanded : kForeseen, Job("job"));
  }
  EXPECT_EQ(started_.size(), 100);
}

}  // namespace
}  // namespace shoal
