#include "read/segment_map.h"

#include <gtest/gtest.h>

#include <random>

namespace shoal {
namespace {

constexpr uint64_t kPage = 16;

SegmentPointer MakeSegment(uint64_t offset, uint64_t length) {
  return std::make_shared<Segment>(nullptr, ByteRange{offset, length}, nullptr);
}

TEST(SegmentMap, GapsAreRoundedOutToPagesAndClipped) {
  SegmentMap map;
  EXPECT_EQ(map.Gaps({20, 5}, kPage, 1000), (std::vector<ByteRange>{{16, 16}}));
  EXPECT_EQ(map.Gaps({995, 5}, kPage, 1000), (std::vector<ByteRange>{{992, 8}}));
  map.Insert(MakeSegment(16, 7));
  EXPECT_EQ(map.Gaps({20, 5}, kPage, 1000), (std::vector<ByteRange>{{23, 9}}));
  map.Insert(MakeSegment(27, 100));
  EXPECT_EQ(map.Gaps({20, 5}, kPage, 1000), (std::vector<ByteRange>{{23, 4}}));
  EXPECT_EQ(map.Gaps({0, 200}, kPage, 1000), (std::vector<ByteRange>{{0, 16}, {23, 4}, {127, 81}}));
}

// Against a plain array of who owns each byte.
TEST(SegmentMap, AgreesWithAnArray) {
  constexpr uint64_t kSize = 500;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    SegmentMap map;
    std::vector<SegmentPointer> owner(kSize);
    for (int step = 0; step < 40; ++step) {
      const uint64_t offset = random() % kSize;
      const ByteRange range{offset, 1 + random() % std::min<uint64_t>(60, kSize - offset)};
      const auto covering = map.Covering(range);
      std::vector<SegmentPointer> expected;
      for (uint64_t at = range.offset; at < range.end(); ++at)
        if (owner[at] && (expected.empty() || expected.back() != owner[at]))
          expected.push_back(owner[at]);
      ASSERT_EQ(covering, expected);
      if (random() % 4 == 0 && !covering.empty()) {
        map.Erase(*covering[0]);
        for (SegmentPointer& byte : owner)
          if (byte == covering[0]) byte = nullptr;
        continue;
      }
      for (const ByteRange& gap : map.Gaps(range, kPage, kSize)) {
        ASSERT_GT(gap.length, 0);
        ASSERT_LE(gap.end(), kSize);
        for (uint64_t at = gap.offset; at < gap.end(); ++at) {
          ASSERT_EQ(owner[at], nullptr);
          ASSERT_GE(at, range.offset / kPage * kPage);
          ASSERT_LT(at, (range.end() + kPage - 1) / kPage * kPage);
        }
        const auto segment = MakeSegment(gap.offset, gap.length);
        map.Insert(segment);
        std::fill_n(owner.begin() + static_cast<ptrdiff_t>(gap.offset), gap.length, segment);
      }
      for (uint64_t at = range.offset; at < range.end(); ++at) ASSERT_NE(owner[at], nullptr);
    }
  }
}

TEST(Segment, IsWhollyServedOnceReadsInAnyOrderCoverIt) {
  for (const uint64_t length : {uint64_t{1}, uint64_t{63}, uint64_t{64}, uint64_t{1000}, kMiB}) {
    std::mt19937_64 random(length);
    Segment segment(nullptr, {5000, length}, nullptr);
    std::vector<uint64_t> offsets;
    const uint64_t step = std::max<uint64_t>(1, length / 16);
    for (uint64_t offset = 5000; offset < 5000 + length; offset += step) offsets.push_back(offset);
    std::shuffle(offsets.begin(), offsets.end(), random);
    for (const uint64_t offset : offsets) {
      ASSERT_FALSE(segment.wholly_served());
      segment.MarkServed(offset, offset + step);
      segment.MarkServed(offset, offset + step);  // twice counts once
    }
    EXPECT_TRUE(segment.wholly_served());
  }
}

TEST(Segment, ReadOfItsFrontAloneDoesNotServeIt) {
  Segment segment(nullptr, {0, kMiB}, nullptr);
  segment.MarkServed(0, kMiB - 1);
  EXPECT_FALSE(segment.wholly_served());
  segment.MarkServed(kMiB - 1, 2 * kMiB);
  EXPECT_TRUE(segment.wholly_served());
}

}  // namespace
}  // namespace shoal
