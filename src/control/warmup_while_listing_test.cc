// What a warm-up loads before all of its files are listed, and into what room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/spare_room.h"
#include "testing/eventually.h"
#include "testing/warmup_service_fixture.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using WarmupWhileListingTest = WarmupServiceFixture;

TEST_F(WarmupWhileListingTest, FilesAreLoadedWhileTheRestIsListed) {
  std::vector<std::string> keys;
  for (int i = 0; i < 30; ++i) {
    keys.push_back("d/" + std::to_string(100 + i));
    Put(keys.back(), 10'000 + static_cast<size_t>(i));
  }
  bucket_.memory().set_page_keys_max(10);
  Start();
  bucket_.HoldLists(true, 2);
  ASSERT_TRUE(tasks_->Load("d", ""));
  ASSERT_TRUE(Eventually([this] { return bucket_.gets().size() >= 10; }))
      << "the third page is not listed";
  EXPECT_EQ(Newest("d").total_bytes, 0);
  EXPECT_EQ(Newest("d").completed_bytes, 0) << "of a total that is not known";
  bucket_.HoldLists(false);
  ExpectAllCompleted(WaitForEnd("d"), 30, 300'000 + 29 * 30 / 2);
  for (const auto& [key, count] : bucket_.gets()) EXPECT_EQ(count, 1) << key;
  ExpectCached(keys);
}

TEST_F(WarmupWhileListingTest, ListingDoesNotWaitForWhatIsLoadedMeanwhile) {
  for (int i = 0; i < 60; ++i) Put("d/" + std::to_string(100 + i), 1000);
  bucket_.memory().set_page_keys_max(10);
  Start();
  bucket_.Hold();
  ASSERT_TRUE(tasks_->Load("d", ""));
  EXPECT_TRUE(Eventually([this] { return Newest("d").total_bytes == 60'000; }));
  bucket_.Release();
  ExpectAllCompleted(WaitForEnd("d"), 60, 60'000);
}

TEST_F(WarmupWhileListingTest, FilesThatWaitUntilAllIsListedKeepNoSmallOnesWaiting) {
  Put("d/100", 5 * kMiB);
  for (int i = 1; i < 30; ++i) Put("d/" + std::to_string(100 + i), 1000);
  bucket_.memory().set_page_keys_max(10);
  Start();
  bucket_.HoldLists(true, 2);
  ASSERT_TRUE(tasks_->Load("d", ""));
  EXPECT_TRUE(Eventually([this] { return bucket_.gets().size() >= 9; }));
  EXPECT_EQ(bucket_.gets().count("d/100"), 0);
  bucket_.HoldLists(false);
  ExpectAllCompleted(WaitForEnd("d"), 30, 5 * kMiB + 29'000);
}

TEST_F(WarmupWhileListingTest, SpareRoomIsHalfOfWhatNothingHasInTheDirectoryOfTheObject) {
  Start(20 * kMiB, 2);
  SpareRoom spare(*tier_, {});
  std::vector<int> taken_count(2);
  std::vector<bool> is_full(2);
  for (int i = 0; i < 100; ++i) {
    const ObjectVersion version{.key = std::to_string(i), .etag = "e", .size_bytes = 900'000};
    const size_t place = tier_->PlaceOf(version);
    const bool was_taken = spare.Take(version);
    EXPECT_FALSE(was_taken && is_full[place]);
    is_full[place] = !was_taken;
    if (was_taken) ++taken_count[place];
  }
  EXPECT_THAT(is_full, ElementsAre(true, true));
  // 10 MiB, less what is the directory's own.
  EXPECT_THAT(taken_count, ElementsAre(11, 11));
}

TEST_F(WarmupWhileListingTest, SpareRoomIsHalfOfTheObjectsThatThereMayYetBe) {
  index_bytes_max_ = 0;  // but for what it always may take
  Start();
  const CacheVolume::Usage usage = tier_->volumes().front()->usage();
  SpareRoom spare(*tier_, {});
  uint64_t count = 0;
  while (spare.Take({.key = std::to_string(count), .etag = "e", .size_bytes = 1})) ++count;
  EXPECT_EQ(count, (usage.object_count_max - usage.object_count) / 2);
}

TEST_F(WarmupWhileListingTest, OfTwoTasksThatListOneUsesTheSpareRoom) {
  for (int i = 0; i < 20; ++i) {
    Put("a/" + std::to_string(100 + i), 1000);
    Put("b/" + std::to_string(100 + i), 900'000);
  }
  bucket_.memory().set_page_keys_max(8);
  Start(12 * kMiB);
  bucket_.HoldLists(true, 2, "a/");
  ASSERT_TRUE(tasks_->Load("a", ""));
  ASSERT_TRUE(Eventually([this] { return bucket_.gets().size() == 15; }));
  EXPECT_THAT(Run("b").error_message, HasSubstr("; nothing was loaded"));
  EXPECT_THAT(bucket_.gets(), SizeIs(15));
  bucket_.HoldLists(false);
  ExpectAllCompleted(WaitForEnd("a"), 20, 20'000);
}

TEST_F(WarmupWhileListingTest, OnceItIsKnownThatNotAllFitsNothingIsBegun) {
  Put("d/100", 20 * kMiB);
  for (int i = 1; i < 30; ++i) Put("d/" + std::to_string(100 + i), 1000);
  bucket_.memory().set_page_keys_max(10);
  Start(12 * kMiB);
  EXPECT_THAT(Run("d").error_message, HasSubstr("; nothing was loaded"));
  EXPECT_THAT(bucket_.gets(), IsEmpty());
}

TEST_F(WarmupWhileListingTest, WhatIsCachedTakesNothingOfTheSpareRoom) {
  for (int i = 0; i < 9; ++i) Put("d/" + std::to_string(100 + i), 900'000);
  Start(12 * kMiB);
  ASSERT_EQ(Run("d").status, Status::kCompleted);
  for (int i = 0; i < 9; ++i) Put("d/" + std::to_string(200 + i), 1000);
  bucket_.ResetGets();
  bucket_.memory().set_page_keys_max(12);
  bucket_.HoldLists(true, 1);
  ASSERT_TRUE(tasks_->Load("d", ""));
  EXPECT_TRUE(Eventually([this] { return bucket_.gets().size() == 2; }))
      << "of three on the first page, of which the last may yet turn out to be a directory";
  bucket_.HoldLists(false);
  ExpectAllCompleted(WaitForEnd("d"), 18, 9 * 900'000 + 9000);
}

TEST_F(WarmupWhileListingTest,
       BeforeItIsKnownWhetherAllFitsHalfOfTheSpareRoomIsUsedAndNobodyGivesWay) {
  Put("old", 4 * kMiB);
  for (int i = 0; i < 20; ++i) Put("d/" + std::to_string(100 + i), 900'000);
  bucket_.memory().set_page_keys_max(8);
  Start(12 * kMiB);
  ASSERT_EQ(Run("old").status, Status::kCompleted);
  bucket_.ResetGets();
  bucket_.HoldLists(true, 2);
  ASSERT_TRUE(tasks_->Load("d", ""));
  // Half of 12 MiB without the 4 of the old one, and their metadata.
  ASSERT_TRUE(Eventually([this] { return bucket_.gets().size() == 4; }));
  bucket_.HoldLists(false);
  const WarmupTask task = WaitForEnd("d");
  EXPECT_EQ(task.error_code, ENOSPC);
  EXPECT_THAT(task.error_message, HasSubstr("; 4 of the files are in the cache"));
  EXPECT_EQ(task.completed_object_count, 4);
  EXPECT_EQ(task.total_object_count, 20);
  EXPECT_THAT(bucket_.gets(), SizeIs(4));
  ExpectCached({"old", "d/100", "d/101", "d/102", "d/103"});
}

TEST_F(WarmupWhileListingTest, WhatChangesOrGoesWhileTheRestIsListedIsCountedAsItIsInTheEnd) {
  for (int i = 0; i < 30; ++i) Put("d/" + std::to_string(100 + i), 1000);
  bucket_.memory().set_page_keys_max(6);
  bucket_.Before("d/100", [this] { Put("d/100", 5000); });
  bucket_.Before("d/101", [this] { bucket_.memory().Delete("d/101"); });
  Start();
  bucket_.HoldLists(true, 2);
  ASSERT_TRUE(tasks_->Load("d", ""));
  // The last of each page may yet turn out to be a directory.
  ASSERT_TRUE(Eventually([this] { return bucket_.gets().size() == 11; }));
  bucket_.HoldLists(true, 1);  // those of the first page are settled before all is listed
  ASSERT_TRUE(Eventually([this] { return bucket_.gets().size() == 17; }));
  bucket_.HoldLists(false);
  ExpectAllCompleted(WaitForEnd("d"), 29, 28 * 1000 + 5000);
}

}  // namespace
}  // namespace shoal
