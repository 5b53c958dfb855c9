#include "base/thread_pool.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <latch>
#include <thread>

#include "base/log.h"
#include "base/start_thread.h"

namespace shoal {
namespace {

// Of this process.
size_t ThreadCount() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(threads), end(threads)));
}

TEST(ThreadPool, RunsAllItWasGivenBeforeItEnds) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool("test", 4);
    for (int i = 0; i < 1000; ++i) pool.Run([&] { ++done; });
  }
  EXPECT_EQ(done, 1000);
}

TEST(ThreadPool, RunsAsManyAtOnceAsItsBound) {
  constexpr int kBound = 4;
  std::latch all_running(kBound + 1);
  std::latch release(1);
  std::atomic<bool> fifth_ran = false;
  {
    ThreadPool pool("test", kBound);
    for (int i = 0; i < kBound; ++i)
      pool.Run([&] {
        all_running.arrive_and_wait();
        release.wait();
      });
    all_running.arrive_and_wait();
    const size_t thread_count = ThreadCount();
    pool.Run([&] { fifth_ran = true; });
    EXPECT_EQ(ThreadCount(), thread_count) << "there is none for a fifth";
    EXPECT_FALSE(fifth_ran);
    release.count_down();
  }
  EXPECT_TRUE(fifth_ran);
}

TEST(ThreadPool, ItsThreadsAreAsNiceAsAskedForAndNoOther) {
  const auto niceness_of_this = [] {
    return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  };
  const int before = niceness_of_this();
  const int asked_for = before < 19 ? before + 1 : before;
  int niceness = -1;
  {
    ThreadPool pool("test", 1, asked_for);
    pool.Run([&] { niceness = niceness_of_this(); });
  }
  EXPECT_EQ(niceness, asked_for);
  EXPECT_EQ(niceness_of_this(), before);
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

TEST(ThreadPool, RunsWhatIsQueuedAtOnceWhenItsBoundRises) {
  std::latch all_running(5);
  ThreadPool pool("test", 1);
  for (int i = 0; i < 4; ++i) pool.Run([&] { all_running.arrive_and_wait(); });
  pool.SetThreadCountMax(4);
  all_running.arrive_and_wait();
}

TEST(ThreadPool, WhatIsQueuedIsLeftToAsManyAsMayBeWhenItsBoundFalls) {
  std::latch all_running(5);
  std::latch release(1);
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  {
    ThreadPool pool("test", 4);
    for (int i = 0; i < 4; ++i)
      pool.Run([&] {
        all_running.arrive_and_wait();
        release.wait();
      });
    all_running.arrive_and_wait();
    for (int i = 0; i < 100; ++i)
      pool.Run([&] {
        most = std::max<int>(most, ++running);
        std::this_thread::yield();
        --running;
      });
    pool.SetThreadCountMax(1);
    release.count_down();
  }
  EXPECT_EQ(most, 1);
}

TEST(ThreadPool, ThreadsThatAreTooManyEndWhenItsBoundFalls) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool("test", 4);
    const size_t count_of_one = ThreadCount();
    std::latch all_running(5);
    for (int i = 0; i < 4; ++i) pool.Run([&] { all_running.arrive_and_wait(); });
    all_running.arrive_and_wait();
    pool.SetThreadCountMax(1);
    while (ThreadCount() > count_of_one) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) pool.Run([&] { ++done; });
    EXPECT_LE(ThreadCount(), count_of_one);
  }
  EXPECT_EQ(done, 100);
}

class ThreadPoolAtTheLimit : public testing::Test {
 protected:
  // In a process of its own that has had no threads.
  ThreadPoolAtTheLimit() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// The limit binds a user who is not root: only in a process of its own.
void AllowNoMoreThreads() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_NPROC, &none);
  if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
  alarm(20);  // a test that waits for a thread that never comes ends as well
}

// Ends the process, with 0 if it was said once that there may be no more threads.
[[noreturn]] void RunManyAndEnd(ThreadPool& pool) {
  constexpr int kCount = 100;
  std::latch all_queued(1);
  std::latch done(kCount);
  pool.Run([&] { all_queued.wait(); });
  for (int i = 0; i < kCount; ++i) pool.Run([&] { done.count_down(); });
  all_queued.count_down();
  done.wait();
  uint64_t said_count = 0;
  for (const log::Event& event : log::RecentTrouble())
    if (event.text.starts_with("test: ")) said_count += event.count;
  _exit(said_count == 1 ? 0 : 1);
}

TEST_F(ThreadPoolAtTheLimit, GoesOnWithTheThreadsItHasWhereThereMayBeNoMoreAndSaysSoOnce) {
  const auto story = [] {
    ThreadPool pool("test", 8);
    AllowNoMoreThreads();
    RunManyAndEnd(pool);
  };
  EXPECT_EXIT(story(), testing::ExitedWithCode(0), "");
}

TEST_F(ThreadPoolAtTheLimit, KeepsAThreadForWhenThereMayBeNoMore) {
  const auto story = [] {
    ThreadPool pool("test", 8, 0, std::chrono::milliseconds(1));
    const size_t count_of_an_idle_one = ThreadCount();
    std::latch all_running(5);
    for (int i = 0; i < 4; ++i) pool.Run([&] { all_running.arrive_and_wait(); });
    all_running.arrive_and_wait();
    while (ThreadCount() > count_of_an_idle_one) std::this_thread::yield();
    AllowNoMoreThreads();
    RunManyAndEnd(pool);
  };
  EXPECT_EXIT(story(), testing::ExitedWithCode(0), "");
}

TEST_F(ThreadPoolAtTheLimit, CannotBeMadeWithoutAThread) {
  const auto story = [] {
    AllowNoMoreThreads();
    const Result<> made = IfThreadsAllow([]() -> Result<> {
      const ThreadPool pool("test", 8);
      return {};
    });
    fmt::print(stderr, "{}", made ? "made" : made.error().detail);
    _exit(made ? 1 : 0);
  };
  EXPECT_EXIT(story(), testing::ExitedWithCode(0),
              "pids.max of the control group .* allows no more");
}

}  // namespace
}  // namespace shoal
