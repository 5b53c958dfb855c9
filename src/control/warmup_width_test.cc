#include "control/warmup_width.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace shoal {
namespace {

constexpr uint64_t kObjectBytes = 110 * kKiB;

// Requests that end one after the other, `per_second` of them when so many are made at once.
class Store {
 public:
  using Rate = std::function<double(size_t)>;

  explicit Store(WarmupWidth& width) : width_(width) {}

  // How many ended.
  double RunFor(double seconds, const Rate& per_second) {
    double ended = 0;
    for (const double until = now_seconds_ + seconds; now_seconds_ < until; ++ended) {
      now_seconds_ += 1 / per_second(width_.count());
      width_.Ended(kObjectBytes, Instant(std::chrono::duration_cast<Duration>(
                                     std::chrono::duration<double>(now_seconds_))));
    }
    return ended;
  }

 private:
  WarmupWidth& width_;
  double now_seconds_ = 3600;
};

double FarAway(size_t count) {  // 20 ms each
  return static_cast<double>(count) / 0.02;
}
double WithoutProcessors(size_t count) {  // four fill them, and more are in each other's way
  const auto n = static_cast<double>(count);
  return n <= 4 ? 2000 * n : 8000 / (1 + 0.05 * std::log2(n / 4));
}
double OnANarrowLink(size_t count) {
  return std::min(FarAway(count), 1000.0);
}

TEST(WarmupWidth, BeginsWithAFewAndHasABound) {
  EXPECT_EQ(WarmupWidth(128).count(), 8u);
  EXPECT_EQ(WarmupWidth(3).count(), 3u);
  WarmupWidth one(1);
  Store(one).RunFor(2, FarAway);
  EXPECT_EQ(one.count(), 1u);
}

TEST(WarmupWidth, BecomesAsManyAsThereMayBeForAStoreFarAway) {
  WarmupWidth width(128);
  Store store(width);
  store.RunFor(1, FarAway);
  EXPECT_EQ(width.count(), 128u);
  EXPECT_GE(store.RunFor(20, FarAway), 0.95 * 20 * FarAway(128));
}

// Two measurements, and then trials of 16, 64 and 128: each takes two rounds of 20 ms or more, and
// those under way when it begins are not measured.
TEST(WarmupWidth, IsWideInAQuarterOfASecondWhereEachRequestBringsAsMuchAsTheLast) {
  WarmupWidth width(128);
  Store(width).RunFor(0.25, FarAway);
  EXPECT_EQ(width.count(), 128u);
}

TEST(WarmupWidth, DoesNotNarrowSoonToSeeWhatIsKnown) {
  WarmupWidth width(128);
  Store store(width);
  store.RunFor(0.25, FarAway);
  EXPECT_GE(store.RunFor(0.7, FarAway), 0.97 * 0.7 * FarAway(128));
}

TEST(WarmupWidth, BecomesAFewWhereAProcessorIsWhatIsMissing) {
  WarmupWidth width(128);
  Store store(width);
  store.RunFor(2, WithoutProcessors);
  EXPECT_LE(width.count(), 8u);
  EXPECT_GE(store.RunFor(20, WithoutProcessors), 0.97 * 20 * WithoutProcessors(4));
}

TEST(WarmupWidth, IsNoWiderThanTheLinkForLong) {
  WarmupWidth width(128);
  Store store(width);
  EXPECT_GE(store.RunFor(20, OnANarrowLink), 0.97 * 20 * 1000);
}

TEST(WarmupWidth, FollowsAStoreThatChanges) {
  WarmupWidth width(128);
  Store store(width);
  store.RunFor(10, WithoutProcessors);
  store.RunFor(5, FarAway);
  EXPECT_GE(store.RunFor(10, FarAway), 0.9 * 10 * FarAway(128));
  store.RunFor(5, WithoutProcessors);
  EXPECT_GE(store.RunFor(10, WithoutProcessors), 0.95 * 10 * WithoutProcessors(4));
}

TEST(WarmupWidth, ItsBoundMayChange) {
  WarmupWidth width(32);
  Store store(width);
  store.RunFor(1, FarAway);
  EXPECT_EQ(width.count(), 32u);
  width.SetCountMax(128);
  store.RunFor(0.5, FarAway);
  EXPECT_EQ(width.count(), 128u);
  width.SetCountMax(4);
  EXPECT_EQ(width.count(), 4u);
  store.RunFor(5, FarAway);
  EXPECT_LE(width.count(), 4u);
}

TEST(WarmupWidth, WhatReadersTookPartInIsNotMeasured) {
  WarmupWidth width(128);
  Store store(width);
  for (int i = 0; i < 100; ++i) {
    store.RunFor(0.015, FarAway);
    width.StartAnew();
  }
  EXPECT_EQ(width.count(), 8u);
}

}  // namespace
}  // namespace shoal
