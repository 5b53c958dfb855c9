#include "control/warmup_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

constexpr uint64_t kTextBytesMax = uint64_t{32} << 20;

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Status = WarmupTask::Status;

constexpr int64_t kNow = 1'765'274'023'424'073;

TEST(WarmupHistory, FindsTheNewestOfAPathFirstAndRunningOnesBeforeTheOthers) {
  WarmupHistory history(kTextBytesMax);
  const uint64_t a1 = history.Begin("a", "", kNow);
  const uint64_t b = history.Begin("b", "", kNow + 1);
  const uint64_t a2 = history.Begin("a", "x", kNow + 2);
  EXPECT_LT(a1, b);
  EXPECT_LT(b, a2);
  EXPECT_THAT(history.OfPath("a"), ElementsAre(a2, a1));
  EXPECT_THAT(history.OfPath("c"), IsEmpty());
  history.End(*history.Find(a2), Status::kCompleted, kNow + 3);
  EXPECT_THAT(history.Newest(10), ElementsAre(b, a1, a2));
  EXPECT_THAT(history.Newest(2), ElementsAre(b, a1));
}

TEST(WarmupHistory, ARunningTaskIsFoundByPathAndPatternUntilItEnds) {
  WarmupHistory history(kTextBytesMax);
  const uint64_t id = history.Begin("a", "x", kNow);
  EXPECT_EQ(history.FindRunning("a", ""), nullptr);
  ASSERT_NE(history.FindRunning("a", "x"), nullptr);
  EXPECT_EQ(history.FindRunning("a", "x")->id, id);
  history.End(*history.Find(id), Status::kCanceled, kNow + 1);
  EXPECT_EQ(history.FindRunning("a", "x"), nullptr);
  EXPECT_EQ(history.Find(id)->ended_unix_micros, kNow + 1);
}

TEST(WarmupHistory, ForgetsWhatEndedFirstOfTooManyAndNeverWhatRuns) {
  WarmupHistory history(kTextBytesMax);
  const uint64_t running = history.Begin("running", "", kNow - 2 * WarmupHistory::kEndedMicrosMax);
  const uint64_t late = history.Begin("late", "", kNow);
  for (size_t i = 0; i < WarmupHistory::kEndedMax; ++i) {
    const uint64_t id = history.Begin("n" + std::to_string(i), "", kNow);
    history.End(*history.Find(id), Status::kCompleted, kNow + static_cast<int64_t>(i));
  }
  EXPECT_THAT(history.Forget(kNow), IsEmpty());
  history.End(*history.Find(late), Status::kFailed, kNow + 1'000'000);
  EXPECT_THAT(history.Forget(kNow), ElementsAre(late + 1));
  EXPECT_THAT(history.OfPath("n0"), IsEmpty());
  EXPECT_EQ(history.All().size(), WarmupHistory::kEndedMax + 1);
  EXPECT_EQ(history.Forget(kNow + 1'000'001 + WarmupHistory::kEndedMicrosMax).size(),
            WarmupHistory::kEndedMax);
  EXPECT_THAT(history.All(), ElementsAre(running));
}

TEST(WarmupHistory, ForgetsEarlierWhenPathsAndPatternsAreLong) {
  WarmupHistory history(kTextBytesMax);
  const std::string pattern(kTextBytesMax / 4, 'x');
  for (int i = 0; i < 4; ++i) history.Begin("n" + std::to_string(i), pattern, kNow);
  EXPECT_EQ(history.running_text_bytes(), kTextBytesMax + 8);
  for (uint64_t id = 1; id <= 4; ++id)
    history.End(*history.Find(id), Status::kCompleted, kNow + static_cast<int64_t>(id));
  EXPECT_EQ(history.running_text_bytes(), 0U);
  EXPECT_THAT(history.Forget(kNow + 5), ElementsAre(1));
  EXPECT_THAT(history.All(), ElementsAre(2, 3, 4));
}

TEST(WarmupHistory, IdsGoOnAfterThoseOfEarlierProcesses) {
  WarmupHistory history(kTextBytesMax);
  WarmupTask earlier;
  earlier.id = 41;
  earlier.status = Status::kCompleted;
  earlier.ended_unix_micros = kNow;
  history.Put(earlier);
  EXPECT_EQ(history.Begin("b", "", kNow), 42);
  history.SetFirstId(1000);
  EXPECT_EQ(history.Begin("c", "", kNow), 1000);
  history.SetFirstId(5);
  EXPECT_EQ(history.Begin("d", "", kNow), 1001);
}

}  // namespace
}  // namespace shoal
