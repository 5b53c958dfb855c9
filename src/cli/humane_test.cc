#include "cli/humane.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Humane, BytesHaveAUnitThatLeavesAtMostFourDigits) {
  EXPECT_EQ(HumaneBytes(0), "0 B");
  EXPECT_EQ(HumaneBytes(1023), "1023 B");
  EXPECT_EQ(HumaneBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumaneBytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(HumaneBytes(12.0 * 1024 * 1024 * 1024), "12.0 GiB");
}

TEST(Humane, DurationsReadAsClocksDo) {
  EXPECT_EQ(HumaneDuration(7), "0:07");
  EXPECT_EQ(HumaneDuration(750), "12:30");
  EXPECT_EQ(HumaneDuration(3 * 3600 + 300), "3:05:00");
  EXPECT_EQ(HumaneDuration(2 * 86400 + 3 * 3600), "2 d 03:00");
}

TEST(Humane, LatenciesHaveTheUnitThatFits) {
  EXPECT_EQ(HumaneLatency(16), "16 us");
  EXPECT_EQ(HumaneLatency(4096), "4.1 ms");
  EXPECT_EQ(HumaneLatency(1'048'576), "1.0 s");
}

TEST(Humane, ABarIsFullOnlyAtTheEnd) {
  EXPECT_EQ(ProgressBar(0, 12), "[----------]");
  EXPECT_EQ(ProgressBar(0.999, 12), "[#########-]");
  EXPECT_EQ(ProgressBar(1, 12), "[##########]");
  EXPECT_EQ(ProgressBar(7, 12), "[##########]");
}

TEST(Humane, LongNamesKeepTheirEnds) {
  EXPECT_EQ(Shortened("short", 10), "short");
  EXPECT_EQ(Shortened("models/large/weights.bin", 13), "model...s.bin");
}

}  // namespace
}  // namespace shoal
