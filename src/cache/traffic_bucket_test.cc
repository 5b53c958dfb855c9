#include "cache/traffic_bucket.h"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"

namespace shoal {
namespace {

using Lane = TrafficBucket::Lane;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kRate = 100 * kMiB;
constexpr Instant kStart{};

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

TEST(TrafficBucket, GivesTheRateAndNoMoreThanABurstAndATurnOnTopWhateverIsTaken) {
  TrafficBucket bucket(kRate, kStart);
  std::minstd_rand random(1);
  uint64_t taken_bytes = 0;
  for (Instant now = kStart; now < kStart + seconds(10);) {
    const uint64_t turn_bytes = 1 + random() % kMiB;
    const Duration wait = bucket.WaitFor(now);
    // Who waits oversleeps, but by less than a burst.
    if (wait > Duration::zero()) now += wait + std::chrono::microseconds(random() % 20'000);
    bucket.Take(Lane::kDemand, turn_bytes, false, now);
    taken_bytes += turn_bytes;
    const double rate = static_cast<double>(kRate);
    const double allowed =
        rate * Seconds(now - kStart + TrafficBucket::kBurst) + static_cast<double>(turn_bytes);
    ASSERT_LE(static_cast<double>(taken_bytes), allowed + 1);
  }
  EXPECT_GE(taken_bytes, 10 * kRate / 100 * 98);
}

TEST(TrafficBucket, KeepsNoMoreThanABurstOfWhatWasNotTaken) {
  TrafficBucket bucket(kRate, kStart);
  const Instant later = kStart + std::chrono::hours(1);
  bucket.Take(Lane::kDemand, kRate / 20, false, later);  // 50 ms
  EXPECT_EQ(bucket.WaitFor(later), Duration::zero());
  bucket.Take(Lane::kDemand, kRate / 10, false, later);
  EXPECT_EQ(bucket.WaitFor(later), milliseconds(100));
}

TEST(TrafficBucket, ADebtIsPaidBeforeTheNextTurn) {
  TrafficBucket bucket(kRate, kStart);
  bucket.Take(Lane::kDemand, kRate / 2, false, kStart);
  EXPECT_EQ(bucket.WaitFor(kStart), milliseconds(500));
  EXPECT_EQ(bucket.WaitFor(kStart + milliseconds(250)), milliseconds(250));
  EXPECT_EQ(bucket.WaitFor(kStart + milliseconds(500)), Duration::zero());
}

TEST(TrafficBucket, AnotherRateCountsFromNowOn) {
  TrafficBucket bucket(kRate, kStart);
  bucket.Take(Lane::kDemand, kRate, false, kStart);
  const Instant later = kStart + milliseconds(500);
  bucket.SetRate(2 * kRate, later);
  EXPECT_EQ(bucket.WaitFor(later), milliseconds(250));
  bucket.SetRate(0, later);
  EXPECT_EQ(bucket.WaitFor(later), Duration::zero());
  bucket.SetRate(kRate, later);
  EXPECT_EQ(bucket.WaitFor(later), Duration::zero());
}

TEST(TrafficBucket, WithoutALimitNobodyWaits) {
  TrafficBucket bucket(0, kStart);
  bucket.Take(Lane::kDemand, kRate, false, kStart);
  EXPECT_EQ(bucket.WaitFor(kStart), Duration::zero());
}

TEST(TrafficBucket, WhoWaitsAloneIsNext) {
  const TrafficBucket bucket(kRate, kStart);
  EXPECT_EQ(bucket.Next(true, false), Lane::kDemand);
  EXPECT_EQ(bucket.Next(false, true), Lane::kWarmup);
  EXPECT_EQ(bucket.Next(true, true), Lane::kDemand);
}

TEST(TrafficBucket, WarmupGetsATenthWhereBothAlwaysWait) {
  TrafficBucket bucket(kRate, kStart);
  uint64_t demand_bytes = 0;
  uint64_t warmup_bytes = 0;
  for (int turn = 0; turn < 10'000; ++turn) {
    const Lane lane = bucket.Next(true, true);
    const uint64_t bytes = lane == Lane::kDemand ? 16 * kKiB : 64 * kKiB;
    (lane == Lane::kDemand ? demand_bytes : warmup_bytes) += bytes;
    bucket.Take(lane, bytes, true, kStart);
  }
  const double share =
      static_cast<double>(warmup_bytes) / static_cast<double>(warmup_bytes + demand_bytes);
  EXPECT_NEAR(share, 0.1, 0.001);
}

TEST(TrafficBucket, WhatWarmupHadWhileNobodyElseWaitedIsNotHeldAgainstIt) {
  TrafficBucket bucket(kRate, kStart);
  bucket.Take(Lane::kWarmup, 100 * kMiB, false, kStart);
  bucket.Take(Lane::kDemand, kMiB, true, kStart);
  EXPECT_EQ(bucket.Next(true, true), Lane::kWarmup);
}

}  // namespace
}  // namespace shoal
