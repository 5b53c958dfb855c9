#include "read/stream_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace shoal {
namespace {

TEST(StreamDetector, ReadAtTheStartIsAStream) {
  StreamDetector detector;
  const auto finding = detector.OnRead({0, 4096});
  EXPECT_NE(finding.stream, kNoStream);
  EXPECT_EQ(finding.frontier, 4096);
}

TEST(StreamDetector, SecondAdjacentReadStartsAStreamInEitherOrder) {
  StreamDetector detector;
  EXPECT_EQ(detector.OnRead({10 * kMiB, kMiB}).stream, kNoStream);
  const auto forward = detector.OnRead({11 * kMiB, kMiB});
  EXPECT_NE(forward.stream, kNoStream);
  EXPECT_EQ(forward.frontier, 12 * kMiB);

  EXPECT_EQ(detector.OnRead({51 * kMiB, kMiB}).stream, kNoStream);
  const auto swapped = detector.OnRead({50 * kMiB, kMiB});
  EXPECT_NE(swapped.stream, kNoStream);
  EXPECT_NE(swapped.stream, forward.stream);
  EXPECT_EQ(swapped.frontier, 52 * kMiB);
}

TEST(StreamDetector, RandomSmallReadsNeverStartOne) {
  StreamDetector detector;
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    // On a grid of 8 KiB, so that no two can touch; offset 0 is another matter.
    const uint64_t offset = (1 + random() % 131'000) * 8192;
    ASSERT_EQ(detector.OnRead({offset, 4096}).stream, kNoStream) << offset;
  }
}

TEST(StreamDetector, RandomReadsDoNotDisturbAStream) {
  StreamDetector detector;
  std::mt19937_64 random(4);
  const StreamId stream = detector.OnRead({0, kMiB}).stream;
  for (uint64_t offset = kMiB; offset < 200 * kMiB; offset += kMiB) {
    for (int i = 0; i < 40; ++i)
      ASSERT_NE(detector.OnRead({300 * kMiB + random() % 100'000 * 8192, 4096}).stream, stream);
    ASSERT_EQ(detector.OnRead({offset, kMiB}).stream, stream);
  }
}

TEST(StreamDetector, ParallelRequestsInAnyOrderAreOneStream) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    StreamDetector detector;
    std::mt19937_64 random(seed);
    const StreamId stream = detector.OnRead({0, kMiB}).stream;
    uint64_t frontier = 0;
    for (uint64_t window = kMiB; window < 101 * kMiB; window += 4 * kMiB) {
      std::vector<uint64_t> offsets{window, window + kMiB, window + 2 * kMiB, window + 3 * kMiB};
      std::shuffle(offsets.begin(), offsets.end(), random);
      for (const uint64_t offset : offsets) {
        const auto finding = detector.OnRead({offset, kMiB});
        ASSERT_EQ(finding.stream, stream) << "seed " << seed << " at " << offset;
        ASSERT_GE(finding.frontier, frontier);
        frontier = finding.frontier;
      }
    }
    EXPECT_EQ(frontier, 101 * kMiB);
  }
}

TEST(StreamDetector, InterleavedStreamsAreToldApart) {
  StreamDetector detector;
  std::vector<StreamId> ids(StreamDetector::kStreamCountMax, kNoStream);
  for (uint64_t step = 0; step < 50; ++step)
    for (uint64_t i = 0; i < ids.size(); ++i) {
      const auto finding = detector.OnRead({i * 100 * kMiB + step * 128 * kKiB, 128 * kKiB});
      if (step == 1) ids[i] = finding.stream;
      if (step >= 1) {
        ASSERT_NE(finding.stream, kNoStream);
        ASSERT_EQ(finding.stream, ids[i]);
        ASSERT_EQ(finding.frontier, i * 100 * kMiB + (step + 1) * 128 * kKiB);
      }
    }
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
}

TEST(StreamDetector, TwoReadersCloseTogetherKeepTheirOwnStreams) {
  StreamDetector detector;
  uint64_t ahead = 0;
  for (; ahead < 3 * kMiB; ahead += 128 * kKiB) detector.OnRead({ahead, 128 * kKiB});
  const StreamId first = detector.OnRead({ahead, 128 * kKiB}).stream;
  ahead += 128 * kKiB;
  // Another process begins at the front. Read for read they are 3 MiB apart.
  const StreamId second = detector.OnRead({0, 128 * kKiB}).stream;
  EXPECT_NE(second, first);
  EXPECT_NE(second, kNoStream);
  for (uint64_t behind = 128 * kKiB; behind < 50 * kMiB; behind += 128 * kKiB) {
    ASSERT_EQ(detector.OnRead({ahead, 128 * kKiB}).stream, first);
    ASSERT_EQ(detector.OnRead({behind, 128 * kKiB}).stream, second);
    ahead += 128 * kKiB;
  }
}

TEST(StreamDetector, ReadersInStepShareOneStream) {
  StreamDetector detector;
  StreamId stream = kNoStream;
  for (uint64_t offset = 0; offset < 20 * kMiB; offset += kMiB) {
    const StreamId first = detector.OnRead({offset, kMiB}).stream;
    if (offset == 0) stream = first;
    ASSERT_EQ(first, stream);
    for (int i = 0; i < 63; ++i) ASSERT_EQ(detector.OnRead({offset, kMiB}).stream, kNoStream);
  }
}

TEST(StreamDetector, ReaderThatLeavesMostOutIsNotSequentialForLong) {
  StreamDetector detector;
  detector.OnRead({0, 64 * kKiB});
  int taken_count = 0;
  for (uint64_t record = 1; record < 1000; ++record)
    taken_count += detector.OnRead({record * 256 * kKiB, 64 * kKiB}).stream != kNoStream;
  EXPECT_LE(taken_count, 16);
}

TEST(StreamDetector, ShortRequestFromAheadJoinsWhenTheStreamArrives) {
  StreamDetector detector;
  const StreamId stream = detector.OnRead({0, kMiB}).stream;
  EXPECT_EQ(detector.OnRead({3 * kMiB, 4096}).stream, kNoStream);
  EXPECT_EQ(detector.OnRead({kMiB, kMiB}).stream, stream);
  EXPECT_EQ(detector.OnRead({2 * kMiB, kMiB}).frontier, 3 * kMiB + 4096);
}

TEST(StreamDetector, StreamLeastRecentlyReadIsGivenUp) {
  StreamDetector detector;
  std::vector<StreamId> ids;
  for (uint64_t i = 0; i < StreamDetector::kStreamCountMax; ++i) {
    detector.OnRead({(1 + i) * 100 * kMiB, kMiB});
    ids.push_back(detector.OnRead({(1 + i) * 100 * kMiB + kMiB, kMiB}).stream);
  }
  detector.OnRead({100 * kMiB + 2 * kMiB, kMiB});  // the first goes on
  const auto finding = detector.OnRead({0, kMiB});
  EXPECT_EQ(finding.ended, ids[1]);
  EXPECT_EQ(detector.OnRead({100 * kMiB + 3 * kMiB, kMiB}).stream, ids[0]);
}

}  // namespace
}  // namespace shoal
