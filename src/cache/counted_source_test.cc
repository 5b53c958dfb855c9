#include "cache/counted_source.h"

#include <gtest/gtest.h>

#include <vector>

#include "testing/memory_range_source.h"

namespace shoal {
namespace {

class IgnoringSink final : public ByteSink {
 public:
  bool Append(std::span<const std::byte>) override { return true; }
};

class CountedSourceTest : public ::testing::Test {
 protected:
  Result<ServedBy> Read(ByteRange range, Purpose purpose = Purpose::kRead) {
    IgnoringSink sink;
    return source_.Open({"key", "\"1\"", 1000})->Read({range, purpose, Deadline{}}, sink);
  }

  MemoryRangeSource next_;
  PlaceCounters counters_;
  CountedSource source_{next_, counters_};
};

TEST_F(CountedSourceTest, CountsReadsAndReadAheadByThePlaceTheyCameFrom) {
  ASSERT_TRUE(Read({0, 100}));
  ASSERT_TRUE(Read({100, 200}, Purpose::kReadahead));
  EXPECT_EQ(counters_.read(ServedBy::kOrigin).requests, 2U);
  EXPECT_EQ(counters_.read(ServedBy::kOrigin).bytes, 300U);
  EXPECT_EQ(counters_.read(ServedBy::kDisk).requests, 0U);
}

TEST_F(CountedSourceTest, CountsWhatIsAtHandToo) {
  next_.KeepWhatIsAskedFor();
  ASSERT_TRUE(Read({0, 1000}));
  std::vector<std::byte> out(10);
  const auto bytes = source_.Open({"key", "\"1\"", 1000});
  ASSERT_EQ(bytes->ReadNow(5, out), ServedBy::kDisk);
  EXPECT_EQ(counters_.read(ServedBy::kDisk).requests, 1U);
  EXPECT_EQ(counters_.read(ServedBy::kDisk).bytes, 10U);
}

TEST_F(CountedSourceTest, WhatRoundingAddedCountsWhereAllDoes) {
  PlaceCounters asked_for;
  CountedSource readers(source_, asked_for, CountedSource::Counts::kAskedFor);
  IgnoringSink sink;
  const RangeRequest request{.range = {0, 1000}, .deadline = {}, .rounding_bytes = 900};
  ASSERT_TRUE(readers.Open({"key", "\"1\"", 1000})->Read(request, sink));
  EXPECT_EQ(asked_for.read(ServedBy::kOrigin).bytes, 100U);
  EXPECT_EQ(counters_.read(ServedBy::kOrigin).bytes, 1000U);
}

TEST_F(CountedSourceTest, KeepsWarmUpsApart) {
  ASSERT_TRUE(Read({0, 100}, Purpose::kWarmup));
  EXPECT_EQ(counters_.read(ServedBy::kOrigin).requests, 0U);
  EXPECT_EQ(counters_.warmed(ServedBy::kOrigin).bytes, 100U);
}

TEST_F(CountedSourceTest, DoesNotCountWhatFailed) {
  next_.FailNext({Errc::kUnreachable, "gone"}, 50);
  EXPECT_FALSE(Read({0, 100}));
  EXPECT_EQ(counters_.read(ServedBy::kOrigin).requests, 0U);
}

}  // namespace
}  // namespace shoal
