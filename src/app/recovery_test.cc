#include "app/recovery.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

namespace shoal {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1000s};

TEST(Recovery, AWorkerThatServedIsStartedAgainAtOnce) {
  Recovery recovery;
  Instant now = kStart;
  for (int i = 0; i < 1000; ++i) {
    const Instant since = now;
    now += 3s;
    EXPECT_EQ(recovery.AfterDeath(now, since, 60s), Duration::zero()) << i;
  }
}

TEST(Recovery, WorkersThatServeAndDieAgainAndAgainAreGivenUpWithinAMinute) {
  Recovery recovery;
  Instant now = kStart;
  for (int i = 0; i < 20; ++i) {
    const Instant since = now;
    now += 2s;
    EXPECT_EQ(recovery.AfterDeath(now, since, 600s), Duration::zero()) << i;
  }
  const auto pause = recovery.AfterDeath(now + 2s, now, 600s);
  ASSERT_FALSE(pause);
  EXPECT_EQ(pause.error().detail, "21 workers died within a minute");
}

TEST(Recovery, OneThatDiesAgainAndAgainIsStartedMoreAndMoreSeldomAndThenNoMore) {
  for (const bool serves_a_moment : {false, true}) {
    Recovery recovery;
    Instant now = kStart;
    std::vector<Duration> pauses;
    while (true) {
      const auto since = serves_a_moment ? std::optional(now - 900ms) : std::nullopt;
      const auto pause = recovery.AfterDeath(now, since, 20s);
      if (!pause) break;
      pauses.push_back(*pause);
      now += *pause;
      if (serves_a_moment) now += 900ms;
    }
    ASSERT_GE(pauses.size(), 6u);
    EXPECT_EQ(pauses[0], 0s);
    EXPECT_EQ(pauses[1], 100ms);
    for (size_t i = 2; i < pauses.size(); ++i)
      EXPECT_EQ(pauses[i], std::min<Duration>(5s, 2 * pauses[i - 1]));
    EXPECT_LE(now - kStart, 20s);
  }
}

TEST(Recovery, DeathsAreRecentUntilOneServesForGoodAndForAMinuteIfTheyHadServed) {
  Recovery recovery;
  EXPECT_EQ(recovery.recent_death_count(), 0u);
  std::ignore = recovery.AfterDeath(kStart, kStart - 5s, 60s);
  for (int i = 1; i <= 3; ++i) std::ignore = recovery.AfterDeath(kStart, std::nullopt, 60s);
  EXPECT_EQ(recovery.recent_death_count(), 4u) << "of whichever kind";
  std::ignore = recovery.AfterDeath(kStart + 10s, kStart + 5s, 60s);
  EXPECT_EQ(recovery.recent_death_count(), 2u);
  std::ignore = recovery.AfterDeath(kStart + 70s, kStart + 11s, 60s);
  EXPECT_EQ(recovery.recent_death_count(), 1u);
  std::ignore = recovery.AfterDeath(kStart + 75s, kStart + 71s, 60s);
  EXPECT_EQ(recovery.recent_death_count(), 2u);
  recovery.AfterPlannedEnd();
  EXPECT_EQ(recovery.recent_death_count(), 0u) << "of another program";
  std::ignore = recovery.AfterDeath(kStart + 80s, kStart + 76s, 60s);
  EXPECT_EQ(recovery.recent_death_count(), 1u);
}

TEST(Recovery, TheLimitCountsFromTheFirstDeath) {
  Recovery recovery;
  std::ignore = recovery.AfterDeath(kStart, std::nullopt, 10s);
  std::ignore = recovery.AfterDeath(kStart + 3s, std::nullopt, 10s);
  EXPECT_EQ(recovery.deadline(10s).at, kStart + 10s);
  EXPECT_EQ(recovery.AfterDeath(kStart + 10s, std::nullopt, 10s).error().detail,
            "no worker came back within 10 s");
}

TEST(Recovery, OneThatDiesSoonAfterAPlannedEndIsStartedAgainHoweverLongAgoTheLastDeathWas) {
  Recovery recovery;
  EXPECT_EQ(recovery.AfterDeath(kStart, kStart - 60s, 60s), Duration::zero());
  recovery.AfterPlannedEnd();  // an hour later
  EXPECT_EQ(recovery.AfterDeath(kStart + 3600s, kStart + 3600s - 10ms, 60s), Duration::zero());
  EXPECT_EQ(recovery.deadline(60s).at, kStart + 3660s);
}

TEST(Recovery, PlannedEndsAreNoDeathsHoweverMany) {
  Recovery recovery;
  for (int i = 0; i < 100; ++i) {
    recovery.AfterPlannedEnd();
    EXPECT_EQ(recovery.AfterDeath(kStart + 1s * i, std::nullopt, 60s), Duration::zero()) << i;
  }
}

TEST(Recovery, AWorkerThatServedForGoodForgivesWhatWasBefore) {
  Recovery recovery;
  for (int i = 0; i < 5; ++i) std::ignore = recovery.AfterDeath(kStart + 1s * i, std::nullopt, 60s);
  EXPECT_EQ(recovery.AfterDeath(kStart + 59s, kStart + 58s, 60s), Duration::zero());
  EXPECT_EQ(recovery.deadline(60s).at, kStart + 119s);
}

}  // namespace
}  // namespace shoal
