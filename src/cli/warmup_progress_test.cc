#include "cli/warmup_progress.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

WarmupMoment Running(uint64_t completed_mib, uint64_t total_mib) {
  return {"data/big.bin", "running", completed_mib << 20, total_mib << 20, ""};
}

TEST(WarmupProgress, ShowsRateAndTimeLeftOfTheLastSeconds) {
  WarmupProgress progress;
  Instant now{};
  progress.Add(Running(0, 1000), now);
  for (int i = 1; i <= 20; ++i)
    progress.Add(Running(static_cast<uint64_t>(i) * 10, 1000), now += seconds(1));
  EXPECT_DOUBLE_EQ(progress.bytes_per_second(), 10.0 * (1 << 20));
  EXPECT_EQ(progress.seconds_left(), 80U);
  EXPECT_EQ(
      progress.Line(100),
      "data/big.bin  [####------------------]  20%  200.0 MiB of 1000.0 MiB  10.0 MiB/s  1:20 "
      "left");
}

TEST(WarmupProgress, KnowsNoTimeLeftBeforeSomethingMoved) {
  WarmupProgress progress;
  progress.Add(Running(0, 1000), Instant{});
  EXPECT_FALSE(progress.seconds_left());
  progress.Add(Running(0, 1000), Instant{} + milliseconds(500));
  EXPECT_FALSE(progress.seconds_left());
}

TEST(WarmupProgress, SaysWhyATaskFailed) {
  WarmupProgress progress;
  progress.Add({"", "failed", 10, 100, "3 of 9 objects: HTTP 403"}, Instant{});
  EXPECT_TRUE(progress.ended());
  EXPECT_EQ(progress.Line(80), "/  failed: 3 of 9 objects: HTTP 403");
}

TEST(WarmupProgress, ShortensThePathAndNotTheFigures) {
  WarmupProgress progress;
  progress.Add({std::string(300, 'x'), "completed", 2048, 2048, ""}, Instant{});
  EXPECT_EQ(progress.Line(40).size(), 40U);
  EXPECT_TRUE(progress.Line(40).ends_with("xx  completed, 2.0 KiB"));
}

}  // namespace
}  // namespace shoal
