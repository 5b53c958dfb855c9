#include "base/metric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/metric_report.h"

namespace shoal {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(Histogram, PutsWhatTookABucketsWholeLengthIntoThatBucket) {
  Histogram histogram("shoal_wait_seconds", "How long");
  histogram.Observe(microseconds(0));
  histogram.Observe(microseconds(16));
  histogram.Observe(microseconds(17));
  histogram.Observe(microseconds(32));
  histogram.Observe(seconds(100));
  const Histogram::Snapshot taken = histogram.Take();
  EXPECT_EQ(taken.counts[0], 2U);
  EXPECT_EQ(taken.counts[1], 2U);
  EXPECT_EQ(taken.counts[Histogram::kBucketCount - 1], 1U);
  EXPECT_EQ(taken.count(), 5U);
  EXPECT_DOUBLE_EQ(taken.sum_seconds, 100.000065);
}

TEST(Histogram, AnswersQuantilesOfWhatCameSinceASnapshot) {
  Histogram histogram("shoal_wait_seconds", "How long");
  for (int i = 0; i < 50; ++i) histogram.Observe(seconds(1));
  const Histogram::Snapshot before = histogram.Take();
  for (int i = 0; i < 99; ++i) histogram.Observe(microseconds(10));
  histogram.Observe(microseconds(1000));
  const Histogram::Snapshot since = histogram.Take().Since(before);
  EXPECT_DOUBLE_EQ(since.Quantile(0.5), 16e-6);
  EXPECT_DOUBLE_EQ(since.Quantile(0.99), 16e-6);
  EXPECT_DOUBLE_EQ(since.Quantile(0.995), 1024e-6);
  EXPECT_DOUBLE_EQ(Histogram::Snapshot().Quantile(0.5), 0);
}

TEST(MetricReport, WritesWhatPrometheusReads) {
  Counter counter("shoal_reads_total", "Reads");
  counter.Add(3);
  Histogram histogram("shoal_wait_seconds", "How long");
  histogram.Observe(microseconds(20));
  MetricReport report;
  report.Add(counter, {{"tier", "disk"}});
  report.Add(histogram);
  report.Add(counter, {{"tier", "me\"mory"}});
  report.AddGauge("shoal_capacity_bytes", "Room", 1099511627776.0);
  const std::string text = report.Text();
  EXPECT_THAT(text, testing::StartsWith("# HELP shoal_reads_total Reads\n"
                                        "# TYPE shoal_reads_total counter\n"
                                        "shoal_reads_total{tier=\"disk\"} 3\n"
                                        "shoal_reads_total{tier=\"me\\\"mory\"} 3\n"
                                        "# HELP shoal_wait_seconds How long\n"
                                        "# TYPE shoal_wait_seconds histogram\n"
                                        "shoal_wait_seconds_count 1\n"));
  EXPECT_THAT(text, testing::HasSubstr("shoal_wait_seconds_bucket{le=\"1.6e-05\"} 0\n"));
  EXPECT_THAT(text, testing::HasSubstr("shoal_wait_seconds_bucket{le=\"3.2e-05\"} 1\n"));
  EXPECT_THAT(text, testing::HasSubstr("shoal_wait_seconds_bucket{le=\"+Inf\"} 1\n"));
  EXPECT_THAT(text, testing::HasSubstr("shoal_capacity_bytes 1099511627776\n"));
}

}  // namespace
}  // namespace shoal
