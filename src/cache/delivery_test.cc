#include "cache/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/open_cache_directory.h"
#include "cache/tier.h"
#include "testing/adjustable_clock.h"
#include "testing/collecting_sink.h"
#include "testing/memory_range_source.h"
#include "testing/temporary_directory.h"
#include "testing/troubled_storage.h"
#include "testing/write_out.h"

namespace shoal {
namespace {

using Arrival = Delivery::Arrival;
using Data = std::vector<std::byte>;

class Watcher final : public Delivery::Watcher {
 public:
  explicit Watcher(bool wants = true) : wants_(wants) {}
  bool Append(std::span<const std::byte> bytes) override {
    seen_bytes += bytes.size();
    return wants_;
  }
  uint64_t seen_bytes = 0;

 private:
  const bool wants_;
};

ObjectVersion Object(uint64_t size_bytes, std::string key = "key", std::string etag = "\"1\"") {
  return {std::move(key), std::move(etag), size_bytes};
}

class DeliveryTest : public ::testing::Test {
 protected:
  void Mount(uint64_t capacity_bytes = 256 * kMiB, bool keep_at_first = true) {
    tier_.reset();
    WriteOut(directory_.path());
    auto storage = OpenCacheDirectory(directory_.path(), {});
    ASSERT_TRUE(storage) << storage.error().detail;
    trouble_ = std::make_shared<StorageTrouble>();
    std::vector<std::unique_ptr<CacheVolume>> volumes;
    volumes.push_back(std::make_unique<CacheVolume>(
        VolumeOptions{.capacity_bytes = capacity_bytes, .free_bytes_min = 0},
        std::make_unique<TroubledStorage>(*std::move(storage), trouble_), clock_));
    tier_ = std::make_unique<Tier>(
        TierOptions{.bucket_identity = "bucket", .keep_at_first = keep_at_first},
        std::move(volumes), origin_);
  }
  CacheVolume& Volume() { return *tier_->volumes()[0]; }

  // Brings all of it and waits until it is written.
  Arrival Deliver(const ObjectVersion& object) {
    const auto delivery = tier_->Deliver(object);
    Watcher watcher;
    if (object.size_bytes > 0) {
      const auto brought = delivery->Bring({0, object.size_bytes}, watcher, {});
      EXPECT_TRUE(brought) << brought.error().detail;
    }
    return delivery->Arrive({});
  }
  ::testing::AssertionResult Reads(const ObjectVersion& object, ServedBy expected_by) {
    CollectingSink sink;
    const auto read =
        tier_->Open(object)->Read({.range = {0, object.size_bytes}, .deadline = {}}, sink);
    if (!read) return ::testing::AssertionFailure() << read.error().detail;
    Data expected(object.size_bytes);
    MemoryRangeSource::Generate(object, 0, expected);
    if (sink.data != expected) return ::testing::AssertionFailure() << "wrong bytes";
    if (*read != expected_by) return ::testing::AssertionFailure() << "from elsewhere";
    return ::testing::AssertionSuccess();
  }

  TemporaryDirectory directory_;
  AdjustableClock clock_;
  MemoryRangeSource origin_;
  std::shared_ptr<StorageTrouble> trouble_;
  std::unique_ptr<Tier> tier_;
};

TEST_F(DeliveryTest, WhatWasDeliveredIsReadWithoutTheOrigin) {
  Mount();
  const ObjectVersion object = Object(5 * kMiB + 123);
  EXPECT_EQ(Deliver(object), Arrival::kWhole);
  ASSERT_EQ(origin_.fetch_count(), 1);
  EXPECT_EQ(origin_.requests()[0].purpose, Purpose::kWarmup);
  EXPECT_TRUE(Reads(object, ServedBy::kDisk));
  Mount();
  EXPECT_TRUE(Reads(object, ServedBy::kDisk)) << "after a restart";
  EXPECT_EQ(origin_.fetch_count(), 1);
}

TEST_F(DeliveryTest, OnlyWhatIsMissingIsFetched) {
  Mount();
  Volume().WaitUntilScanned();  // what readers bring before is dropped
  const ObjectVersion object = Object(8 * kMiB);
  CollectingSink sink;
  ASSERT_TRUE(tier_->Open(object)->Read({.range = {2 * kMiB, kMiB}, .deadline = {}}, sink));
  const auto delivery = tier_->Deliver(object);
  EXPECT_TRUE(delivery->Has({2 * kMiB, kMiB}, {}));
  EXPECT_FALSE(delivery->Has({kMiB, 2 * kMiB}, {}));
  EXPECT_EQ(Deliver(object), Arrival::kWhole);
  const auto requests = origin_.requests();
  ASSERT_EQ(requests.size(), 3);
  EXPECT_EQ(requests[1].range, (ByteRange{0, 2 * kMiB}));
  EXPECT_EQ(requests[2].range, (ByteRange{3 * kMiB, 5 * kMiB}));
  EXPECT_TRUE(Reads(object, ServedBy::kDisk));
}

TEST_F(DeliveryTest, IsKeptAtTheFirstOpeningAndIsNone) {
  Mount(256 * kMiB, false);
  EXPECT_EQ(Deliver(Object(kMiB, "delivered")), Arrival::kWhole);
  EXPECT_TRUE(Reads(Object(kMiB, "delivered"), ServedBy::kDisk));
  EXPECT_EQ(Deliver(Object(0, "empty")), Arrival::kWhole);
}

TEST_F(DeliveryTest, CoverSaysWhatIsHereOfThisVersionAlsoAfterARestart) {
  Mount();
  Volume().WaitUntilScanned();  // what readers bring before is dropped
  const ObjectVersion object = Object(2 * kMiB + 5);
  EXPECT_EQ(tier_->Cover(object, {}).cached_bytes, 0);
  CollectingSink sink;
  ASSERT_TRUE(tier_->Open(object)->Read({.range = {0, kMiB}, .deadline = {}}, sink));
  Volume().WaitUntilWritten();
  for (int round = 0; round < 2; ++round) {
    const auto part = tier_->Cover(object, {});
    EXPECT_EQ(part.cached_bytes, kMiB);
    EXPECT_FALSE(part.whole);
    Mount();
  }
  ASSERT_EQ(Deliver(object), Arrival::kWhole);
  for (int round = 0; round < 2; ++round) {
    const auto all = tier_->Cover(object, {});
    EXPECT_EQ(all.cached_bytes, object.size_bytes);
    EXPECT_TRUE(all.whole);
    EXPECT_FALSE(tier_->Cover(Object(2 * kMiB + 5, "key", "\"2\""), {}).whole);
    Mount();
  }
  EXPECT_TRUE(tier_->Cover(Object(0, "empty"), {}).whole);
}

TEST_F(DeliveryTest, WaitsForADiskThatIsBehindAndDropsNothing) {
  Mount();
  Volume().WaitUntilScanned();
  const ObjectVersion large = Object(100 * kMiB, "large");
  const ObjectVersion small = Object(kMiB, "small");
  const auto reading = tier_->Open(small);
  const auto delivery = tier_->Deliver(large);
  CollectingSink sink;
  trouble_->Freeze();
  Arrival arrival = Arrival::kPending;
  std::thread delivering([&] {
    Watcher watcher;
    EXPECT_TRUE(delivery->Bring({0, large.size_bytes}, watcher, {}));
    arrival = delivery->Arrive({});
  });
  origin_.WaitForSent(32 * kMiB + 512 * kKiB);  // by then the queue has all it takes of it
  ASSERT_TRUE(reading->Read({.range = {0, kMiB}, .deadline = {}}, sink)) << "a reader goes on";
  trouble_->Thaw();
  delivering.join();
  EXPECT_EQ(arrival, Arrival::kWhole);
  Volume().WaitUntilWritten();
  EXPECT_EQ(Volume().metrics().dropped_bytes.Value(), 0);
  EXPECT_TRUE(Reads(large, ServedBy::kDisk));
  EXPECT_TRUE(Reads(small, ServedBy::kDisk)) << "what the reader brought was kept";
}

TEST_F(DeliveryTest, GivesUpWaitingAtTheDeadlineAndSaysThatItIsIncomplete) {
  Mount();
  Volume().WaitUntilScanned();
  const ObjectVersion object = Object(40 * kMiB);
  const auto delivery = tier_->Deliver(object);
  trouble_->Freeze();
  Watcher watcher;
  (void)delivery->Bring({0, object.size_bytes}, watcher,
                        Deadline::After(clock_, std::chrono::milliseconds(50)));
  EXPECT_EQ(delivery->Arrive(Deadline{clock_.Now()}), Arrival::kPending);
  trouble_->Thaw();
  EXPECT_EQ(delivery->Arrive({}), Arrival::kIncomplete);
  EXPECT_GT(Volume().metrics().dropped_bytes.Value(), 0);
  EXPECT_EQ(Deliver(object), Arrival::kWhole) << "once more";
}

TEST_F(DeliveryTest, FailsAsTheOriginDoesAndKeepsWhatCame) {
  Mount();
  const ObjectVersion object = Object(3 * kMiB);
  origin_.FailNext({Errc::kChanged, "another by now"}, 2 * kMiB);
  const auto delivery = tier_->Deliver(object);
  Watcher watcher;
  EXPECT_EQ(delivery->Bring({0, object.size_bytes}, watcher, {}).error(),
            (Error{Errc::kChanged, "another by now"}));
  EXPECT_EQ(watcher.seen_bytes, 2 * kMiB);
  EXPECT_EQ(delivery->Arrive({}), Arrival::kIncomplete);
  EXPECT_EQ(tier_->Cover(object, {}).cached_bytes, 2 * kMiB);
  Watcher unwilling(false);
  EXPECT_EQ(delivery->Bring({0, object.size_bytes}, unwilling, {}).error().code,
            Errc::kInterrupted);
}

TEST_F(DeliveryTest, ADiskThatFailsMakesItIncomplete) {
  Mount();
  Volume().WaitUntilScanned();
  const ObjectVersion object = Object(kMiB);
  const auto delivery = tier_->Deliver(object);
  trouble_->FailCall(0, {Errc::kUnreachable, "broken"}, true);
  Watcher watcher;
  (void)delivery->Bring({0, object.size_bytes}, watcher, {});
  EXPECT_EQ(delivery->Arrive({}), Arrival::kIncomplete);
  EXPECT_FALSE(tier_->Cover(object, {}).whole);
}

TEST_F(DeliveryTest, NearlyAllTheCapacityCanBeAskedForWhateverWasUsedBefore) {
  constexpr uint64_t kObjects = 75;
  Mount(80 * kMiB);
  Volume().WaitUntilScanned();  // what readers bring before is dropped
  for (int round = 0; round < 4; ++round)
    for (uint64_t i = 0; i < kObjects; ++i) {
      CollectingSink sink;
      ASSERT_TRUE(tier_->Open(Object(kMiB, "old" + std::to_string(i)))
                      ->Read({.range = {0, kMiB}, .deadline = {}}, sink));
      Volume().WaitUntilWritten();
    }
  uint64_t bytes_to_keep = 0;
  for (uint64_t i = 0; i < kObjects; ++i) {
    bytes_to_keep += tier_->BytesToKeep(kMiB);
    ASSERT_EQ(Deliver(Object(kMiB, "new" + std::to_string(i))), Arrival::kWhole);
  }
  EXPECT_LE(bytes_to_keep, Volume().RoomBytes({}));
  for (uint64_t i = 0; i < kObjects; ++i)
    EXPECT_TRUE(tier_->Cover(Object(kMiB, "new" + std::to_string(i)), {}).whole) << i;
}

TEST_F(DeliveryTest, WhatAnObjectTakesIsForeseen) {
  Mount();
  Volume().WaitUntilScanned();
  const uint64_t before = Volume().usage().used_bytes;
  uint64_t foreseen = 0;
  for (const uint64_t size :
       {uint64_t{1}, uint64_t{5000}, uint64_t{110 * kKiB}, uint64_t{9 * kMiB}})
    for (int i = 0; i < 20; ++i) {
      foreseen += tier_->BytesToKeep(size);
      ASSERT_EQ(Deliver(Object(size, std::to_string(size) + "-" + std::to_string(i))),
                Arrival::kWhole);
    }
  const uint64_t taken = Volume().usage().used_bytes - before;
  EXPECT_GE(foreseen + 400 * kKiB, taken) << "directories apart";
  EXPECT_LE(foreseen, taken + 40 * kKiB);
}

}  // namespace
}  // namespace shoal
