#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <latch>

namespace shoal {
namespace {

TEST(ThreadPool, RunsAllItWasGivenBeforeItEnds) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool("test", 4);
    for (int i = 0; i < 1000; ++i) pool.Run([&] { ++done; });
  }
  EXPECT_EQ(done, 1000);
}

TEST(ThreadPool, RunsAsManyAtOnceAsItsBound) {
  std::latch all_running(4);
  ThreadPool pool("test", 4);
  for (int i = 0; i < 4; ++i) pool.Run([&] { all_running.arrive_and_wait(); });
  all_running.wait();
}

TEST(ThreadPool, ItsThreadsAreAsNiceAsAskedForAndNoOther) {
  int niceness = -1;
  {
    ThreadPool pool("test", 1, 7);
    pool.Run([&] { niceness = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); });
  }
  EXPECT_EQ(niceness, 7);
  EXPECT_LT(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())), 7);
}

TEST(ThreadPool, QueuesWhatIsPastItsBound) {
  std::latch release(1);
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  {
    ThreadPool pool("test", 2);
    for (int i = 0; i < 50; ++i)
      pool.Run([&] {
        const int now = ++running;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        release.wait();
        --running;
      });
    release.count_down();
  }
  EXPECT_LE(most, 2);
}

}  // namespace
}  // namespace shoal
