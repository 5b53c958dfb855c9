// A medium that fails, is full or hangs, below a tier that goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cache/tier.h"
#include "testing/disk_tier.h"
#include "testing/eventually.h"

namespace shoal {
namespace {

class FailingMediumTest : public DiskTierTest {
 protected:
  // Kept, chosen to go, opened in that moment as one that is not here, and then found to be
  // mapped: it stays, and who has it open may begin other files of its name.
  std::shared_ptr<ObjectBytes> OpenedWhileItCouldNotGo(const ObjectVersion& victim) {
    Keep(victim);
    std::promise<std::shared_ptr<ObjectBytes>> opened;
    Trouble().AnswerIsMapped([&] {
      opened.set_value(tier_->Open(victim));
      return true;
    });
    EXPECT_TRUE(Volume().SetCapacity(kMiB));
    std::shared_ptr<ObjectBytes> bytes = opened.get_future().get();
    EXPECT_TRUE(Volume().SetCapacity(64 * kMiB));
    Volume().WaitUntilWithinCapacity();
    return bytes;
  }
};

TEST_F(FailingMediumTest, AFrozenDiskHoldsNoReaderUpAndIsUsedAgainWhenItThaws) {
  Mount();
  std::vector<ObjectVersion> objects;
  for (int i = 0; i < 12; ++i) {
    objects.push_back(Object(kMiB, "key" + std::to_string(i)));
    Keep(objects.back());
  }
  Trouble().Freeze();
  for (const ObjectVersion& object : objects) EXPECT_TRUE(Reads(object, {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), 24);
  EXPECT_FALSE(Volume().usable()) << "after a few reads that were stuck";
  EXPECT_LE(Volume().metrics().stalled_reads.Value(), 5) << "the others did not even try";
  EXPECT_EQ(tier_->Open(objects[0])->Whole({}), nullptr) << "the kernel would wait for it";
  Trouble().Thaw();
  clock_.Advance(std::chrono::minutes(2));
  while (!Volume().usable()) std::this_thread::yield();
  EXPECT_TRUE(Reads(objects[0], {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), 24);
}

TEST_F(FailingMediumTest, ADiskThatTakesNothingThatIsWrittenIsNotUsedUntilItDoes) {
  Mount();
  Trouble().Freeze();
  ASSERT_TRUE(Reads(Object(kMiB, "first"), {0, kMiB}));
  Trouble().WaitUntilStuck(1);
  clock_.Advance(std::chrono::seconds(5));
  ASSERT_TRUE(Reads(Object(kMiB, "second"), {0, kMiB}));
  EXPECT_TRUE(Volume().usable()) << "it may be slow";
  // What was stuck may have been the upkeep, and the writer not yet. Each time another object: one
  // that waits to be written is found there, and nothing is given to be kept.
  EXPECT_TRUE(Eventually([&, i = 0]() mutable {
    clock_.Advance(std::chrono::seconds(11));
    EXPECT_TRUE(Reads(Object(kMiB, "another" + std::to_string(i++)), {0, kMiB}));
    return !Volume().usable();
  }));
  Trouble().Thaw();
  clock_.Advance(std::chrono::minutes(2));
  while (!Volume().usable()) std::this_thread::yield();
}

// It was opened meanwhile, as one that is not here, and gets other files: holes but for a page.
TEST_F(FailingMediumTest, AVictimThatCouldNotGoVouchesForNoOtherFilesOfItsName) {
  Mount();
  const ObjectVersion victim = Object(2 * kMiB);
  std::shared_ptr<ObjectBytes> bytes = OpenedWhileItCouldNotGo(victim);
  ASSERT_TRUE(Reads(*bytes, victim, {0, 16 * kKiB}));
  WaitUntilWritten();
  bytes.reset();
  // So many that it is loaded anew.
  for (int i = 0; i < 1100; ++i) Keep(Object(16 * kKiB, "key" + std::to_string(i)));
  EXPECT_TRUE(Reads(victim, {0, victim.size_bytes}));
}

// The upkeep has the old files open while a reader begins new ones of the same name.
TEST_F(FailingMediumTest, AScrubVouchesForNoOtherFilesOfTheNameThanThoseItCompared) {
  Mount();
  const ObjectVersion victim = Object(2 * kMiB);
  std::shared_ptr<ObjectBytes> bytes = OpenedWhileItCouldNotGo(victim);
  std::promise<void> renewed;
  Trouble().AtTheNextRead([&] {
    EXPECT_TRUE(Reads(*bytes, victim, {0, 16 * kKiB}));
    WaitUntilWritten();
    renewed.set_value();
  });
  clock_.Advance(std::chrono::hours(25));
  renewed.get_future().wait();
  bytes.reset();
  // So many that it is loaded anew, and the scrub has ended.
  for (int i = 0; i < 1100; ++i) Keep(Object(16 * kKiB, "key" + std::to_string(i)));
  EXPECT_FALSE(tier_->Cover(victim, {}).whole);
  EXPECT_TRUE(Reads(victim, {0, victim.size_bytes}));
}

TEST_F(FailingMediumTest, AFullDiskFailsNoRead) {
  Mount();
  Trouble().FailCall(0, {Errc::kNoSpace, "full"}, true);
  const ObjectVersion object = Object(3 * kMiB);
  ASSERT_TRUE(Reads(object, {0, object.size_bytes}));
  WaitUntilWritten();
  Trouble().EndFailing();
  EXPECT_TRUE(Volume().usable()) << "it can be read";
  // More than once where it was the upkeep's call that failed, and it says so late.
  for (int turn = 0; turn < 3 && tier_->Cover(object, {}).cached_bytes < object.size_bytes;
       ++turn) {
    clock_.Advance(std::chrono::seconds(2));
    Keep(object);
  }
  const size_t before = origin_.fetch_count();
  EXPECT_TRUE(Reads(object, {0, object.size_bytes}));
  EXPECT_EQ(origin_.fetch_count(), before);
}

TEST_F(FailingMediumTest, WhatIsKeptAfterAFirstWriteThatFailedSurvivesARestart) {
  Mount();
  const ObjectVersion object = Object(3 * kMiB);
  for (uint64_t failing = 0; failing <= 10; ++failing) {
    Unmount();
    fs::remove_all(outside_.path() / "0");
    Mount();
    auto bytes = tier_->Open(object);
    Trouble().FailCall(failing, {Errc::kNoSpace, "full"}, false);
    ASSERT_TRUE(Reads(*bytes, object, {0, kMiB}));
    WaitUntilWritten();
    Trouble().EndFailing();
    // More than once where it was the upkeep's call that failed, and it says so late.
    for (int turn = 0; turn < 3 && tier_->Cover(object, {}).cached_bytes < 2 * kMiB; ++turn) {
      clock_.Advance(std::chrono::seconds(2));
      ASSERT_TRUE(Reads(*bytes, object, {kMiB, 2 * kMiB}));
      WaitUntilWritten();
    }
    bytes.reset();
    Mount();
    const size_t before = origin_.fetch_count();
    ASSERT_TRUE(Reads(object, {kMiB, 2 * kMiB}));
    EXPECT_EQ(origin_.fetch_count(), before) << "call " << failing;
    EXPECT_EQ(Volume().metrics().put_aside.Value(), 0) << "call " << failing;
  }
}

// Each call of the storage fails once, then from there on; every read is right all the same.
TEST_F(FailingMediumTest, WhicheverCallFailsNoReadDoes) {
  const ObjectVersion kept = Object(kMiB + 5, "kept");
  const ObjectVersion fresh = Object(kMiB + 5, "fresh");
  const auto story = [&] {
    for (const ObjectVersion& object : {kept, fresh, kept}) {
      const auto bytes = tier_->Open(object);
      ASSERT_TRUE(Reads(*bytes, object, {0, object.size_bytes}));
      WaitUntilWritten();
      const auto whole = bytes->Whole({});
      Data data(object.size_bytes);
      if (whole == nullptr) continue;
      ASSERT_EQ(pread(whole->fd(), data.data(), data.size(), 0), static_cast<ssize_t>(data.size()));
      ASSERT_TRUE(data == Expected(object, {0, object.size_bytes}));
    }
  };
  uint64_t call_count = 1;
  for (const Errc code : {Errc::kUnreachable, Errc::kNoSpace})
    for (const bool from_then_on : {false, true})
      for (uint64_t index = 0; index < call_count; ++index) {
        Unmount();
        for (const auto& folder : fs::directory_iterator(outside_.path()))
          fs::remove_all(folder.path());
        Mount();
        Keep(kept);
        Mount();
        Trouble().FailCall(index, {code, "injected"}, from_then_on);
        ASSERT_NO_FATAL_FAILURE(story()) << "call " << index;
        if (index == 0) {
          Trouble().FailCall(~uint64_t{0}, {}, false);
          Unmount();
          Mount();
          Trouble().FailCall(~uint64_t{0}, {}, false);
          ASSERT_NO_FATAL_FAILURE(story());
          call_count = Trouble().call_count() + 8;
        }
      }
}

TEST_F(FailingMediumTest, ADirectoryThatFailsIsLeftOutAndTheOthersGoOn) {
  Mount(64 * kMiB, 2);
  Trouble(0).FailCall(0, {Errc::kUnreachable, "broken"}, true);
  for (int i = 0; i < 12; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  for (int i = 0; i < 12; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  const size_t before = origin_.fetch_count();
  for (int i = 0; i < 12; ++i)
    EXPECT_TRUE(Reads(Object(kMiB, "key" + std::to_string(i)), {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), before);
  EXPECT_FALSE(Volume(0).usable());
}

TEST_F(FailingMediumTest, WhatLiesOnABadSpotIsFetchedAgainAndKeptElsewhere) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  Keep(object);
  Mount();
  Trouble().SpoilWhatIsThere();
  // The upkeep may meet it first, and a reader may find the medium too slow.
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE(Reads(object, {0, kMiB}));
    return Volume().metrics().put_aside.Value() == 1;
  }));
  EXPECT_TRUE(Eventually([&] { return !Volume().usable(); }));
  Trouble().EndFailing();  // what is written now lies elsewhere
  clock_.Advance(std::chrono::minutes(2));
  while (!Volume().usable()) std::this_thread::yield();
  Keep(object);
  const size_t before = origin_.fetch_count();
  EXPECT_TRUE(Reads(object, {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), before);
  EXPECT_TRUE(Volume().usable());
}

TEST_F(FailingMediumTest, WhatTheMediumDidNotTakeIsNotGivenOut) {
  for (const bool opens_whole : {false, true}) {
    // What is in memory may have come from the medium since, ahead of who reads it.
    const bool was_read_again = !opens_whole;
    fs::remove_all(outside_.path() / "0");
    Mount();
    const ObjectVersion object = Object(kMiB);
    const ObjectVersion other = Object(kMiB, "other");
    Keep(object);
    Keep(other);
    for (const fs::path& file : Files(".data")) FlipByte(file, 5000);
    Trouble().LoseWrites(was_read_again);
    if (opens_whole) {
      EXPECT_EQ(tier_->Open(object)->Whole({}), nullptr);
    }
    EXPECT_TRUE(Reads(object, {0, kMiB}));
    EXPECT_TRUE(Reads(other, {0, kMiB}));
    EXPECT_EQ(tier_->Open(other)->Whole({}), nullptr);
    EXPECT_TRUE(Eventually([&] {
      EXPECT_TRUE(Reads(other, {0, kMiB}));
      return !Volume().usable();
    }));
  }
}

TEST_F(FailingMediumTest, AFileThatWasGivenOutIsNotBelievedOnceTheMediumLostSomeOfIt) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  Keep(object);
  const auto whole = tier_->Open(object)->Whole({});
  ASSERT_NE(whole, nullptr);
  EXPECT_TRUE(whole->MayBeBelieved());
  Trouble().LoseWrites();
  EXPECT_FALSE(whole->MayBeBelieved());
}

TEST_F(FailingMediumTest, WhatWasPutAsideIsNotBelievedByWhoStillUsesIt) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  Keep(object);
  const fs::path file = Files(".data").at(0);
  Mount();
  const auto user = tier_->Open(object);
  EXPECT_TRUE(Reads(*user, object, {0, kMiB / 2}));
  FlipByte(file, 5000);  // where it was compared
  FlipByte(file, kMiB - 5000);
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE(Reads(*user, object, {kMiB / 2, kMiB / 2}));
    return Volume().metrics().put_aside.Value() == 1;
  }));
  EXPECT_TRUE(Reads(*user, object, {0, kMiB / 2}));
}

TEST_F(FailingMediumTest, AfterALossEverythingIsComparedAnew) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  const ObjectVersion closed = Object(kMiB, "closed");
  const ObjectVersion sound = Object(kMiB, "sound");
  Keep(object);
  Keep(closed);
  const std::vector<fs::path> damaged = Files(".data");
  Keep(sound);
  const auto open_all_along = tier_->Open(object);
  Trouble().LoseWrites();
  clock_.Advance(std::chrono::seconds(31));
  while (Volume().usable()) std::this_thread::yield();
  for (const fs::path& file : damaged) FlipByte(file, 5000);
  Trouble().EndFailing();
  clock_.Advance(std::chrono::minutes(2));
  while (!Volume().usable()) std::this_thread::yield();
  const size_t before = origin_.fetch_count();
  EXPECT_TRUE(Reads(sound, {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), before) << "it is sound";
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE(Reads(closed, {0, kMiB}));
    EXPECT_TRUE(Reads(*open_all_along, object, {0, kMiB}));
    return Volume().metrics().put_aside.Value() == 2;
  }));
}

// Its pages outlive a process, and what it knew of them does not.
TEST_F(FailingMediumTest, WhatAnEarlierProcessLeftIsComparedWithTheMediumAndNotWithItsPages) {
  // What is larger is not written out while its reader waits.
  for (const uint64_t size_bytes : {kMiB, 9 * kMiB})
    for (const bool pages_stay : {false, true}) {
      fs::remove_all(outside_.path() / "0");
      make_trouble_ = nullptr;
      Mount();
      const ObjectVersion object = Object(size_bytes);
      Keep(object);
      make_trouble_ = [&](StorageTrouble& trouble) {
        trouble.MakeMediumWrong();
        if (pages_stay) trouble.HoldPages();
      };
      Mount();
      EXPECT_TRUE(Reads(object, {0, size_bytes}));
      // Where the scrub was first, this is what the read before has brought in its place.
      const auto whole = tier_->Open(object)->Whole({});
      EXPECT_TRUE(whole == nullptr || Volume().metrics().put_aside.Value() == 1);
      Trouble().LetGoOfPages();
      EXPECT_TRUE(Eventually([&] {
        EXPECT_TRUE(Reads(object, {0, size_bytes}));
        return Volume().metrics().put_aside.Value() == 1 || HasFailure();
      }));
    }
}

TEST_F(FailingMediumTest, WhatNobodyReadsIsComparedWithTheMediumAsWell) {
  Mount();
  Keep(Object(kMiB));
  make_trouble_ = [](StorageTrouble& trouble) { trouble.MakeMediumWrong(); };
  Mount();
  EXPECT_TRUE(Eventually([&] { return Volume().metrics().put_aside.Value() == 1; }));
}

TEST_F(FailingMediumTest, ADayLaterWhatWasComparedIsComparedAgain) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  Keep(object);
  FlipByte(Files(".data").at(0), 5000);
  // More days than one, as the first look after the start may still be to come.
  while (Volume().metrics().put_aside.Value() == 0) {
    clock_.Advance(std::chrono::hours(25));
    std::this_thread::yield();
  }
  EXPECT_TRUE(Reads(object, {0, kMiB}));
}

}  // namespace
}  // namespace shoal
