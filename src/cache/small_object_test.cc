// A small object of which a part is read: the rest comes with it.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "testing/disk_tier.h"

namespace shoal {
namespace {

const ObjectVersion kSmall{"small", "\"1\"", 200'000};
constexpr ByteRange kAll{0, 200'000};
constexpr ByteRange kFirstPage{0, 16 * kKiB};
constexpr ByteRange kLaterPage{96 * kKiB, 16 * kKiB};

class SmallObjectTest : public DiskTierTest {};

TEST_F(SmallObjectTest, IsFetchedWholeWhereverItIsReadFirst) {
  Mount();
  const auto bytes = tier_->Open(kSmall);
  ASSERT_TRUE(Reads(*bytes, kSmall, kLaterPage));
  ASSERT_TRUE(Reads(*bytes, kSmall, kAll));
  const auto requests = origin_.requests();
  ASSERT_EQ(requests.size(), 1);
  EXPECT_EQ(requests[0].range, kAll);
  EXPECT_EQ(requests[0].rounding_bytes, kAll.length - kLaterPage.length);
  WaitUntilWritten();
  EXPECT_TRUE(tier_->Cover(kSmall, {}).whole);
}

TEST_F(SmallObjectTest, ThatIsNotSmallIsFetchedByThePage) {
  Mount();
  const ObjectVersion object = Object(256 * kKiB + 1);
  ASSERT_TRUE(Reads(object, kLaterPage));
  ASSERT_EQ(origin_.fetch_count(), 1);
  EXPECT_EQ(origin_.requests()[0].range, kLaterPage);
}

TEST_F(SmallObjectTest, ThatFailsBehindWhatIsReadFailsNoReader) {
  Mount();
  origin_.FailNext({Errc::kUnreachable, "cut"}, 128 * kKiB);
  ASSERT_TRUE(Reads(kSmall, kLaterPage));
}

TEST_F(SmallObjectTest, ThatFailsBeforeWhatIsReadHasThatFetchedAlone) {
  Mount();
  origin_.FailNext({Errc::kUnreachable, "cut"}, 64 * kKiB);
  ASSERT_TRUE(Reads(kSmall, kLaterPage));
  ASSERT_EQ(origin_.fetch_count(), 2);
  EXPECT_EQ(origin_.requests()[1].range, kLaterPage);
}

TEST_F(SmallObjectTest, ThatFailsInTheMiddleOfWhatIsReadGoesOnThere) {
  for (const uint64_t cut : {128 * kKiB, 128 * kKiB + 5000}) {
    const ObjectVersion object = Object(200'000, "cut at " + std::to_string(cut));
    Mount();
    origin_.FailNext({Errc::kUnreachable, "cut"}, cut);
    EXPECT_TRUE(Reads(object, {64 * kKiB, 120 * kKiB})) << cut;
  }
}

TEST_F(SmallObjectTest, ThatHasChangedFailsTheReader) {
  Mount();
  origin_.FailNext({Errc::kChanged, "another version"});
  CollectingSink sink;
  const auto read = tier_->Open(kSmall)->Read({.range = kLaterPage, .deadline = {}}, sink);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kChanged);
  EXPECT_EQ(origin_.fetch_count(), 1);
}

TEST_F(SmallObjectTest, OfWhichAPartIsCachedIsReadFromThereAfterARestart) {
  Mount();
  origin_.FailNext({Errc::kUnreachable, "cut"}, 64 * kKiB);
  ASSERT_TRUE(Reads(kSmall, kFirstPage));
  WaitUntilWritten();
  Mount();
  ASSERT_TRUE(Reads(kSmall, kFirstPage));
  EXPECT_EQ(origin_.fetch_count(), 1) << "nobody had looked at the object yet";
  ASSERT_TRUE(Reads(kSmall, kLaterPage));
  ASSERT_EQ(origin_.fetch_count(), 2);
  EXPECT_EQ(origin_.requests()[1].range, kLaterPage);
}

TEST_F(SmallObjectTest, IsAskedForWholeOnlyOnceWhereTheCacheKeepsNothing) {
  Mount();
  const auto bytes = tier_->Open(kSmall);
  Trouble().FailCall(0, {Errc::kNoSpace, "full"}, true);
  ASSERT_TRUE(Reads(*bytes, kSmall, kFirstPage));
  WaitUntilWritten();
  ASSERT_TRUE(Reads(*bytes, kSmall, kLaterPage));
  ASSERT_EQ(origin_.fetch_count(), 2);
  EXPECT_EQ(origin_.requests()[0].range, kAll);
  EXPECT_EQ(origin_.requests()[1].range, kLaterPage);
}

TEST_F(SmallObjectTest, IsFetchedOnceForReadersOfItsParts) {
  Mount();
  const auto bytes = tier_->Open(kSmall);
  origin_.HoldFetches();
  std::thread first([&] { EXPECT_TRUE(Reads(*bytes, kSmall, kLaterPage)); });
  origin_.WaitForHeld(1);
  std::thread second([&] { EXPECT_TRUE(Reads(*bytes, kSmall, {150'000, 50'000})); });
  std::thread third([&] { EXPECT_TRUE(Reads(*bytes, kSmall, kAll)); });
  origin_.ReleaseFetches();
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(origin_.fetch_count(), 1);
}

}  // namespace
}  // namespace shoal
