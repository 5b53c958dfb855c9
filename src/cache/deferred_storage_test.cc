#include "cache/deferred_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "cache/cache_volume.h"
#include "cache/open_cache_directory.h"
#include "testing/eventually.h"
#include "testing/temporary_directory.h"
#include "testing/troubled_storage.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

const ObjectDigest kName = ObjectDigest::Of("an object");
constexpr DeferredStorage::Patience kPatience{.for_medium = std::chrono::milliseconds(50),
                                              .for_process_before = std::chrono::milliseconds(50),
                                              .for_other_mount = std::chrono::milliseconds(50)};

class DeferredStorageTest : public ::testing::Test {
 protected:
  // A medium with trouble: its switches outlast an opener that hangs.
  DeferredStorage::Opener Opener() {
    return [path = std::string(directory_.path()),
            trouble = trouble_]() -> Result<std::unique_ptr<CacheStorage>> {
      RETURN_IF_ERROR(trouble->Pass());
      return OpenCacheDirectory(path, {});
    };
  }
  std::unique_ptr<DeferredStorage> Begin() {
    return std::make_unique<DeferredStorage>(CacheDirectoryName(directory_.path()), Opener(),
                                             clock_);
  }
  void FailFor(Errc code, const std::string& why) {
    trouble_->FailCall(0, {code, why}, /*from_then_on=*/true);
  }

  const SystemClock clock_{};
  TemporaryDirectory directory_;
  const std::shared_ptr<StorageTrouble> trouble_ = std::make_shared<StorageTrouble>();
};

TEST_F(DeferredStorageTest, AMediumThatWorksIsOpenAtOnce) {
  const auto storage = Begin();
  ASSERT_TRUE(storage->Await({}));
  EXPECT_TRUE(storage->Create(kName, 10));
  EXPECT_TRUE(storage->Open(kName));
  EXPECT_EQ(storage->name(), CacheDirectoryName(directory_.path()));
}

TEST_F(DeferredStorageTest, ADirectoryIsFreeAgainOnceItHasEnded) {
  for (int i = 0; i < 20; ++i) {
    const auto storage = Begin();
    ASSERT_TRUE(storage->Await({}));
    EXPECT_TRUE(storage->GetRoom());
  }
}

TEST_F(DeferredStorageTest, AMediumThatFailsIsTriedUntilItWorks) {
  FailFor(Errc::kNoSpace, "it is full");
  const auto storage = Begin();
  ASSERT_TRUE(storage->Await({}));
  const auto made = storage->Create(kName, 10);
  ASSERT_FALSE(made);
  // Of a medium that is full a trial is passed, and there is no storage yet.
  EXPECT_EQ(made.error().code, Errc::kUnreachable);
  EXPECT_EQ(made.error().detail, "it is full");
  trouble_->EndFailing();
  EXPECT_TRUE(Eventually([&] { return storage->Create(kName, 10).has_value(); }));
}

TEST_F(DeferredStorageTest, AMediumThatHangsHoldsUpNobodyAndIsUsedWhenItAnswers) {
  trouble_->Freeze();
  const auto storage = Begin();
  ASSERT_TRUE(storage->Await(kPatience));
  const auto room = storage->GetRoom();
  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code, Errc::kUnreachable);
  EXPECT_THAT(room.error().detail, HasSubstr("does not answer"));
  trouble_->Thaw();
  EXPECT_TRUE(Eventually([&] { return storage->GetRoom().has_value(); }));
}

TEST_F(DeferredStorageTest, EndsThoughTheMediumHangs) {
  trouble_->Freeze();
  auto storage = Begin();
  trouble_->WaitUntilStuck(1);
  storage.reset();
  trouble_->Thaw();
  EXPECT_TRUE(Eventually([&] { return OpenCacheDirectory(directory_.path(), {}).has_value(); }));
}

TEST_F(DeferredStorageTest, WhatNoWaitingMendsIsSaid) {
  for (const Errc code : {Errc::kInvalid, Errc::kDenied, Errc::kBusy}) {
    FailFor(code, "why");
    const auto storage = Begin();
    const Result<> opened = storage->Await(kPatience);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error(), (Error{code, "why"}));
  }
}

TEST_F(DeferredStorageTest, WhatAnotherIsJustLettingGoOfIsWaitedFor) {
  for (const Errc code : {Errc::kBusy, Errc::kTimedOut}) {
    FailFor(code, "why");
    const auto storage = Begin();
    EXPECT_TRUE(Eventually([&] { return trouble_->call_count() >= 2; }));
    trouble_->EndFailing();
    ASSERT_TRUE(storage->Await({}));
    EXPECT_TRUE(storage->GetRoom());
  }
}

TEST_F(DeferredStorageTest, ACapacityThatIsSetMeanwhileIsInForceWhenItOpens) {
  {
    const auto before = OpenCacheDirectory(directory_.path(), {});
    auto object = (*before)->Create(kName, kMiB);
    ASSERT_TRUE((*object)->WriteData(0, std::vector<std::byte>(kMiB, std::byte{7})));
    ASSERT_TRUE((*before)->Quarantine(kName));
  }
  trouble_->Freeze();
  const auto storage = Begin();
  ASSERT_TRUE(storage->Resize(8 * kMiB));
  trouble_->Thaw();
  ASSERT_TRUE(storage->Await({}));
  ASSERT_TRUE(storage->GetRoom());
  EXPECT_LT(storage->own_block_count(), kMiB / kCacheBlockBytes);
}

TEST_F(DeferredStorageTest, AVolumeIsOnProbationUntilItIsOpen) {
  FailFor(Errc::kUnreachable, "it is read-only");
  CacheVolume volume({.capacity_bytes = 64 * kMiB, .free_bytes_min = 0}, Begin(), clock_);
  EXPECT_TRUE(Eventually([&] { return volume.why_not_usable() == "it is read-only"; }));
  trouble_->EndFailing();
  volume.WaitUntilScanned();
  EXPECT_TRUE(volume.usable());
}

}  // namespace
}  // namespace shoal
