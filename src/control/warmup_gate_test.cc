#include "control/warmup_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include "testing/fake_clock.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;

constexpr Instant kNow{std::chrono::hours(1)};
constexpr WarmupPace kPace{.request_count_max = 4};
constexpr DemandGauge::Reading kQuiet{.under_way_count = 0, .quiet_since = kNow - milliseconds(20)};
constexpr DemandGauge::Reading kBusy{.under_way_count = 1, .quiet_since = kNow - milliseconds(900)};

TEST(WarmupPace, GoesAtFullWidthWhenNobodyReads) {
  EXPECT_TRUE(kPace.MayStart(1, {.request_count = 3, .request_bytes = 3}, kQuiet, kNow));
  EXPECT_FALSE(kPace.MayStart(1, {.request_count = 4, .request_bytes = 4}, kQuiet, kNow));
}

TEST(WarmupPace, HasABoundOfBytesThatOneRequestMayExceed) {
  constexpr uint64_t kMax = WarmupPace::kBytesMax;
  EXPECT_TRUE(kPace.MayStart(1, {.request_count = 1, .request_bytes = kMax - 1}, kQuiet, kNow));
  EXPECT_FALSE(kPace.MayStart(2, {.request_count = 1, .request_bytes = kMax - 1}, kQuiet, kNow));
  EXPECT_TRUE(kPace.MayStart(kMax * 2, {}, kQuiet, kNow));
}

TEST(WarmupPace, OneRequestAtATimeWhileSomebodyReads) {
  EXPECT_TRUE(kPace.MayStart(1, {}, kBusy, kNow));
  EXPECT_FALSE(kPace.MayStart(1, {.request_count = 1}, kBusy, kNow));
}

TEST(WarmupPace, RestsFourTimesAsLongAsTheLastOneTookWhileSomebodyReads) {
  WarmupPace::State state{.ended = kNow - milliseconds(39), .took = milliseconds(10)};
  EXPECT_FALSE(kPace.MayStart(1, state, kBusy, kNow));
  EXPECT_TRUE(kPace.MayStart(1, state, kQuiet, kNow));
  state.ended = kNow - milliseconds(40);
  EXPECT_TRUE(kPace.MayStart(1, state, kBusy, kNow));
}

TEST(WarmupPace, AShortQuietIsStillDemand) {
  const WarmupPace::State one{.request_count = 1};
  DemandGauge::Reading demand{.under_way_count = 0, .quiet_since = kNow - milliseconds(19)};
  EXPECT_FALSE(kPace.MayStart(1, one, demand, kNow));
  demand.quiet_since = kNow - milliseconds(20);
  EXPECT_TRUE(kPace.MayStart(1, one, demand, kNow));
}

TEST(WarmupGate, NeverLetsMoreThanItsWidthInAndInTheEndAll) {
  FakeClock clock;
  DemandGauge demand(clock);
  WarmupGate gate(demand, 3, clock);
  std::atomic<int> inside = 0;
  std::atomic<int> passed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) {
        const WarmupGate::Pass pass = gate.Enter(1, [] { return false; });
        EXPECT_LE(++inside, 3);
        std::this_thread::yield();
        --inside;
        ++passed;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed, 3200);
}

TEST(WarmupGate, WhileSomebodyReadsTheNextWaitsForTheOneBeforeIt) {
  FakeClock clock;
  clock.Advance(std::chrono::hours(1));
  DemandGauge demand(clock);
  WarmupGate gate(demand, 8, clock);
  std::atomic<int> inside = 0;
  std::vector<std::thread> threads;
  {
    const DemandGauge::Fetch fetch(demand);
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        const WarmupGate::Pass pass = gate.Enter(1, [] { return false; });
        EXPECT_EQ(++inside, 1);
        std::this_thread::yield();
        --inside;
      });
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }
  clock.Advance(milliseconds(20));
  // Now all fit in at once.
  std::latch all_inside(8);
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const WarmupGate::Pass pass = gate.Enter(1, [] { return false; });
      all_inside.arrive_and_wait();
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(WarmupGate, OneThatListsDoesNotWaitForThoseThatLoad) {
  FakeClock clock;
  clock.Advance(std::chrono::hours(1));
  DemandGauge demand(clock);
  WarmupGate gate(demand, 2, clock);
  const auto never = [] { return false; };
  const WarmupGate::Pass one = gate.Enter(1, never);
  const WarmupGate::Pass two = gate.Enter(1, never);
  const WarmupGate::Pass lists = gate.Enter(0, never);
  int asked_count = 0;
  const WarmupGate::Pass another = gate.Enter(0, [&] { return ++asked_count > 1; });
  EXPECT_GT(asked_count, 1) << "one of them is enough, and this one had to give up";
}

TEST(WarmupGate, WhoGivesUpDoesNotWait) {
  FakeClock clock;
  clock.Advance(std::chrono::hours(1));
  DemandGauge demand(clock);
  WarmupGate gate(demand, 8, clock);
  const DemandGauge::Fetch fetch(demand);
  std::atomic<bool> given_up = false;
  std::vector<std::thread> threads;
  const WarmupGate::Pass pass = gate.Enter(1, [] { return false; });
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&] { const WarmupGate::Pass none = gate.Enter(1, [&] { return given_up.load(); }); });
  given_up = true;
  gate.WakeAll();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace shoal
