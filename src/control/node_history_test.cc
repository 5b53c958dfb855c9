#include "control/node_history.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(NodeHistory, SaysWhatEachSecondBroughtAndNotWhatCameBefore) {
  NodeHistory history;
  NodeTotals totals;
  totals.place_bytes[0] = 1000;
  totals.fetched_bytes = 50;
  history.Add(totals);
  EXPECT_TRUE(history.seconds().empty());

  totals.place_bytes[0] = 1500;
  totals.place_bytes[3] = 7;
  totals.passed_open_count = 2;
  totals.passed_bytes = 300;
  totals.fetched_bytes = 60;
  totals.cpu_seconds = 0.5;
  totals.operations[1].error_count = 2;
  history.Add(totals);
  history.Add(totals);
  ASSERT_EQ(history.seconds().size(), 2U);
  const NodeHistory::Second& first = history.seconds()[0];
  EXPECT_EQ(first.place_bytes, (std::array<uint64_t, kPlaceCount>{500, 0, 0, 7}));
  EXPECT_EQ(first.passed_open_count, 2U);
  EXPECT_EQ(first.passed_bytes, 300U);
  EXPECT_EQ(first.fetched_bytes, 10U);
  EXPECT_EQ(first.error_count, 2U);
  EXPECT_DOUBLE_EQ(first.cpu_cores, 0.5);
  EXPECT_EQ(history.seconds()[1].error_count, 0U);
}

TEST(NodeHistory, HasNoLatencyForASecondInWhichNothingWasRead) {
  NodeHistory history;
  Histogram latency("", "");
  NodeTotals totals;
  history.Add(totals);
  history.Add(totals);
  latency.Observe(std::chrono::milliseconds(1));
  totals.operations[kReadOperation].latency = latency.Take();
  history.Add(totals);
  EXPECT_FALSE(history.seconds()[0].read_p50_seconds);
  EXPECT_EQ(history.seconds()[1].read_count, 1U);
  EXPECT_DOUBLE_EQ(*history.seconds()[1].read_p99_seconds, 1024e-6);
}

TEST(NodeHistory, KeepsTenMinutesAndAMinuteOfOperations) {
  NodeHistory history;
  NodeTotals totals;
  for (int i = 0; i < 700; ++i) {
    ++totals.operations[2].error_count;
    ++totals.fetched_bytes;
    history.Add(totals);
  }
  EXPECT_EQ(history.seconds().size(), NodeHistory::kSecondCountMax);
  EXPECT_EQ(history.LastMinute()[2].error_count, NodeHistory::kOperationSecondCount);
}

}  // namespace
}  // namespace shoal
