#include "cache/tier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/file_descriptor.h"
#include "cache/memory_medium.h"
#include "cache/open_cache_directory.h"
#include "testing/adjustable_clock.h"
#include "testing/collecting_sink.h"
#include "testing/disk_tier.h"
#include "testing/eventually.h"
#include "testing/memory_range_source.h"
#include "testing/temporary_directory.h"
#include "testing/troubled_storage.h"

namespace shoal {
namespace {

class TierTest : public DiskTierTest {};

TEST_F(TierTest, WhatWasReadIsReadAgainWithoutTheOrigin) {
  Mount();
  const ObjectVersion object = Object(5 * kMiB + 123);
  Keep(object);
  EXPECT_EQ(origin_.fetch_count(), 1);
  CollectingSink sink;
  const auto again =
      tier_->Open(object)->Read({.range = {0, object.size_bytes}, .deadline = {}}, sink);
  EXPECT_EQ(*again, ServedBy::kDisk);
  EXPECT_TRUE(sink.data == Expected(object, {0, object.size_bytes}));
  EXPECT_EQ(origin_.fetch_count(), 1);
}

TEST_F(TierTest, WhatIsNotWrittenYetIsReadFromMemory) {
  Mount();
  const ObjectVersion object = Object(3 * kMiB);
  Trouble().Freeze();
  ASSERT_TRUE(Reads(object, {0, object.size_bytes}));
  EXPECT_TRUE(Reads(object, {0, object.size_bytes})) << "opened anew";
  const auto bytes = tier_->Open(object);
  Data now(4096);
  ASSERT_TRUE(bytes->ReadNow(kMiB + 4096, now));
  EXPECT_TRUE(now == Expected(object, {kMiB + 4096, 4096}));
  EXPECT_EQ(origin_.fetch_count(), 1);
  Trouble().Thaw();
}

TEST_F(TierTest, OnlyWhatIsMissingIsFetched) {
  Mount();
  const ObjectVersion object = Object(8 * kMiB);
  const auto bytes = tier_->Open(object);
  ASSERT_TRUE(Reads(*bytes, object, {2 * kMiB, kMiB}));
  ASSERT_TRUE(Reads(*bytes, object, {6 * kMiB + 16 * kKiB, 16 * kKiB}));
  WaitUntilWritten();
  ASSERT_TRUE(Reads(*bytes, object, {0, object.size_bytes}));
  const auto requests = origin_.requests();
  ASSERT_EQ(requests.size(), 4);
  EXPECT_EQ(requests[2].range, (ByteRange{0, 2 * kMiB}));
  EXPECT_EQ(requests[3].range, (ByteRange{3 * kMiB, 5 * kMiB})) << "over one page that was there";
}

TEST_F(TierTest, KnowsWhichBytesAreNearerThanTheOrigin) {
  Mount();
  const ObjectVersion object = Object(8 * kMiB);
  const auto bytes = tier_->Open(object);
  EXPECT_FALSE(bytes->IsNear({0, 1}));
  ASSERT_TRUE(Reads(*bytes, object, {2 * kMiB, kMiB}));
  WaitUntilWritten();
  EXPECT_TRUE(bytes->IsNear({2 * kMiB, kMiB}));
  EXPECT_TRUE(bytes->IsNear({2 * kMiB + 5, 7}));
  EXPECT_FALSE(bytes->IsNear({2 * kMiB - 1, 2}));
  EXPECT_FALSE(bytes->IsNear({3 * kMiB - 1, 2}));
}

TEST_F(TierTest, PagesThatCameInPartAreNotKept) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  const auto bytes = tier_->Open(object);
  ASSERT_TRUE(Reads(*bytes, object, {100, 40'000}));
  WaitUntilWritten();
  Data now(100);
  EXPECT_FALSE(bytes->ReadNow(0, now));
  EXPECT_TRUE(bytes->ReadNow(16 * kKiB, now));
  EXPECT_FALSE(bytes->ReadNow(32 * kKiB, now));
}

TEST_F(TierTest, AFetchThatFailsLeavesItsWholePagesAndNothingWrong) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  const auto bytes = tier_->Open(object);
  origin_.FailNext({Errc::kUnreachable, "cut"}, 100'000);
  CollectingSink sink;
  EXPECT_EQ(bytes->Read({.range = {0, kMiB}, .deadline = {}}, sink).error().detail, "cut");
  EXPECT_TRUE(sink.data == Expected(object, {0, 100'000}));
  WaitUntilWritten();
  ASSERT_TRUE(Reads(*bytes, object, {0, kMiB}));
  EXPECT_EQ(origin_.requests().back().range, (ByteRange{96 * kKiB, kMiB - 96 * kKiB}));
}

TEST_F(TierTest, SurvivesARestart) {
  Mount();
  const ObjectVersion object = Object(5 * kMiB + 123);
  Keep(object);
  Mount();
  EXPECT_TRUE(Reads(object, {0, object.size_bytes}));
  EXPECT_EQ(origin_.fetch_count(), 1);
}

TEST_F(TierTest, AnIncompleteObjectSurvivesARestartAsFarAsItWasThere) {
  Mount();
  const ObjectVersion object = Object(300 * kMiB);
  ASSERT_TRUE(Reads(object, {200 * kMiB, 64 * kKiB}));
  Mount();
  EXPECT_TRUE(Reads(object, {200 * kMiB, 64 * kKiB}));
  EXPECT_EQ(origin_.fetch_count(), 1);
  EXPECT_TRUE(Reads(object, {200 * kMiB - 16 * kKiB, 64 * kKiB}));
  EXPECT_EQ(origin_.requests().back().range, (ByteRange{200 * kMiB - 16 * kKiB, 16 * kKiB}));
}

TEST_F(TierTest, AnotherVersionOrBucketIsAnotherObject) {
  Mount();
  Keep(Object(kMiB));
  EXPECT_TRUE(Reads(Object(kMiB, "key", "\"2\""), {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), 2);
  bucket_ = "http://host other";
  Mount();
  EXPECT_TRUE(Reads(Object(kMiB), {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), 3);
}

TEST_F(TierTest, WholeIsGivenOnceAllIsThereAndChecked) {
  Mount();
  const ObjectVersion object = Object(2 * kMiB + 5);
  const auto bytes = tier_->Open(object);
  EXPECT_EQ(bytes->Whole({}), nullptr);
  ASSERT_TRUE(Reads(*bytes, object, {0, kMiB}));
  WaitUntilWritten();
  EXPECT_EQ(bytes->Whole({}), nullptr);
  Keep(object);
  const auto whole = bytes->Whole({});
  ASSERT_NE(whole, nullptr);
  Data data(object.size_bytes + 1);
  EXPECT_EQ(pread(whole->fd(), data.data(), data.size(), 0),
            static_cast<ssize_t>(object.size_bytes));
  data.pop_back();
  EXPECT_TRUE(data == Expected(object, {0, object.size_bytes}));
}

TEST_F(TierTest, WholeIsGivenAfterARestartOnceItWasChecked) {
  Mount();
  const ObjectVersion small = Object(2 * kMiB, "small");
  const ObjectVersion large = Object(20 * kMiB, "large");
  Keep(small);
  Keep(large);
  Mount();
  EXPECT_NE(tier_->Open(small)->Whole({}), nullptr) << "checked at once";
  const auto bytes = tier_->Open(large);
  while (bytes->Whole({}) == nullptr) std::this_thread::yield();  // checked in the background
  EXPECT_EQ(origin_.fetch_count(), 2);
}

TEST_F(TierTest, AByteThatChangedOnTheDiskIsFetchedAgainAndItsFilePutAside) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{kMiB + 7}, uint64_t{2 * kMiB + 4}}) {
    const ObjectVersion object = Object(2 * kMiB + 5, "key" + std::to_string(offset));
    Mount();
    Keep(object);
    Unmount();
    FlipByte(Files(".data")[0], offset);
    Mount();
    EXPECT_EQ(tier_->Open(object)->Whole({}), nullptr);
    EXPECT_TRUE(Reads(object, {0, object.size_bytes}));
    // By the reader, or by the upkeep, which may still be about to.
    EXPECT_TRUE(Eventually([&] { return Volume().metrics().put_aside.Value() == 1; }));
    WaitUntilWritten();
    Mount();
    EXPECT_TRUE(Reads(object, {0, object.size_bytes})) << "kept anew";
    Unmount();
    for (const fs::path& file : Files(".data")) fs::remove(file);
  }
  // Twice an object, and once more where the upkeep found the damage in the same moment and took
  // what was kept anew for it.
  EXPECT_GE(origin_.fetch_count(), 6);
  EXPECT_LE(origin_.fetch_count(), 9);
}

TEST_F(TierTest, NoTamperingWithTheFilesIsEverRead) {
  const ObjectVersion object = Object(100'000);
  std::mt19937_64 random(7);
  for (int round = 0; round < 60; ++round) {
    Unmount();
    fs::remove_all(outside_.path() / "0");
    Mount();
    Keep(object);
    Unmount();
    const fs::path file = Files(round % 2 == 0 ? ".data" : ".meta")[0];
    const uint64_t size = fs::file_size(file);
    switch (random() % 3) {
      case 0:
        FlipByte(file, random() % size);
        break;
      case 1:
        fs::resize_file(file, random() % size);
        break;
      default:
        fs::resize_file(file, size + 1 + random() % 5000);
    }
    Mount();
    ASSERT_TRUE(Reads(object, {0, object.size_bytes})) << "round " << round;
    const auto whole = tier_->Open(object)->Whole({});
    if (whole != nullptr) {
      Data data(object.size_bytes);
      ASSERT_EQ(pread(whole->fd(), data.data(), data.size(), 0), 100'000);
      ASSERT_TRUE(data == Expected(object, {0, object.size_bytes})) << "round " << round;
    }
  }
}

TEST_F(TierTest, PagesOfTwoObjectsThatWereSwappedAreNotRead) {
  Mount();
  const ObjectVersion one = Object(kMiB, "one");
  const ObjectVersion two = Object(kMiB, "two");
  Keep(one);
  const fs::path file_of_one = Files(".data")[0];
  Keep(two);
  fs::path file_of_two;
  for (const fs::path& file : Files(".data"))
    if (file != file_of_one) file_of_two = file;
  Unmount();
  const fs::path third = outside_.path() / "third";
  fs::rename(file_of_one, third);
  fs::rename(file_of_two, file_of_one);
  fs::rename(third, file_of_two);
  Mount();
  EXPECT_TRUE(Reads(one, {0, kMiB}));
  EXPECT_TRUE(Reads(two, {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), 4);
}

TEST_F(TierTest, DirectoriesMayComeAndGoAndWhatTheyHaveIsFound) {
  constexpr int kCount = 60;
  Mount(64 * kMiB, 3);
  for (int i = 0; i < kCount; ++i) Keep(Object(50'000, "key" + std::to_string(i)));
  for (size_t i = 0; i < 3; ++i) EXPECT_GT(Volume(i).usage().object_count, 0) << i;
  EXPECT_EQ(origin_.fetch_count(), kCount);
  Mount(64 * kMiB, 4);
  for (int i = 0; i < kCount; ++i)
    EXPECT_TRUE(Reads(Object(50'000, "key" + std::to_string(i)), {0, 50'000}));
  EXPECT_EQ(origin_.fetch_count(), kCount);
  Mount(64 * kMiB, 2);
  for (int i = 0; i < kCount; ++i)
    EXPECT_TRUE(Reads(Object(50'000, "key" + std::to_string(i)), {0, 50'000}));
  EXPECT_GT(origin_.fetch_count(), kCount);
  EXPECT_LT(origin_.fetch_count(), 2 * kCount);
}

class Watcher final : public Delivery::Watcher {
 public:
  bool Append(std::span<const std::byte> bytes) override {
    fetched_bytes += bytes.size();
    return true;
  }
  void OnFound(uint64_t bytes) override { found_bytes += bytes; }
  uint64_t fetched_bytes = 0;
  uint64_t found_bytes = 0;
};

TEST_F(TierTest, AnObjectOfWhichTwoDirectoriesHaveAPartIsMadeWholeInOne) {
  const ObjectVersion object = Object(4 * kMiB);
  // Each half is read with the other directory absent.
  Mount(64 * kMiB, 1);
  ASSERT_TRUE(Reads(object, {0, 2 * kMiB}));
  Unmount();
  fs::rename(outside_.path() / "0", outside_.path() / "1");
  Mount(64 * kMiB, 1);
  ASSERT_TRUE(Reads(object, {2 * kMiB, 2 * kMiB}));
  Mount(64 * kMiB, 2);
  ASSERT_FALSE(tier_->Cover(object, {}).whole);

  const auto delivery = tier_->Deliver(object);
  EXPECT_FALSE(delivery->Has({0, object.size_bytes}, {}));
  Watcher watcher;
  ASSERT_TRUE(delivery->Bring({0, object.size_bytes}, watcher, {}));
  EXPECT_EQ(watcher.fetched_bytes, 2 * kMiB) << "what the other one has is fetched again";
  EXPECT_EQ(watcher.found_bytes, 2 * kMiB);
  EXPECT_EQ(delivery->Arrive({}), Delivery::Arrival::kWhole);
  EXPECT_TRUE(delivery->Has({0, object.size_bytes}, {}));
  EXPECT_TRUE(tier_->Cover(object, {}).whole);
}

TEST_F(TierTest, AnObjectLargerThanAnyStoreHasIsReadAndNotKept) {
  Mount();
  const ObjectVersion object = Object(uint64_t{1} << 62);
  EXPECT_TRUE(Reads(object, {uint64_t{1} << 61, kMiB}));
  WaitUntilWritten();
  EXPECT_TRUE(Files(".data").empty());
}

TEST_F(TierTest, AnotherPageSizeBeginsAnew) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  Keep(object);
  Mount(64 * kMiB, 1, 64 * kKiB);
  Keep(object);
  EXPECT_EQ(origin_.fetch_count(), 2);
  EXPECT_TRUE(Reads(object, {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), 2);
}

TEST_F(TierTest, WhatIsOfAnotherPageSizeDoesNotCountAsCached) {
  Mount();
  const ObjectVersion object = Object(kMiB);
  Keep(object);
  Mount(64 * kMiB, 1, 64 * kKiB);
  // Also once the upkeep has looked at it; it asks for nothing to do so.
  EXPECT_TRUE(Eventually([&] { return Volume().usage().object_count == 0; }));
  EXPECT_FALSE(tier_->Cover(object, {}).whole);
  EXPECT_EQ(tier_->Cover(object, {}).cached_bytes, 0);
  EXPECT_TRUE(Files(".data").empty());
}

TEST_F(TierTest, AMemoryTierAboveKeepsWhatIsOpenedAgain) {
  Mount();
  auto storage = OpenMemoryStorage(*MakeMemoryMedium(), {16 * kMiB, 256 * kKiB});
  ASSERT_TRUE(storage);
  std::vector<std::unique_ptr<CacheVolume>> volumes;
  volumes.push_back(std::make_unique<CacheVolume>(
      VolumeOptions{.capacity_bytes = 16 * kMiB, .free_bytes_min = 0, .may_wait = false},
      *std::move(storage), clock_));
  volumes[0]->WaitUntilScanned();
  Tier memory({.kind = ServedBy::kMemory, .bucket_identity = bucket_, .keep_at_first = false},
              std::move(volumes), *tier_);
  const ObjectVersion object = Object(3 * kMiB);
  const auto read = [&] {
    CollectingSink sink;
    const auto bytes = memory.Open(object);
    const auto by = bytes->Read({.range = {0, object.size_bytes}, .deadline = {}}, sink);
    EXPECT_TRUE(sink.data == Expected(object, {0, object.size_bytes}));
    WaitUntilWritten();
    return *by;
  };
  EXPECT_EQ(read(), ServedBy::kOrigin);
  EXPECT_EQ(memory.volumes()[0]->usage().object_count, 0) << "opened once";
  EXPECT_EQ(read(), ServedBy::kDisk);
  EXPECT_EQ(read(), ServedBy::kMemory);

  const ObjectVersion other = Object(2 * kMiB, "other");
  Keep(other);
  EXPECT_NE(memory.Open(other)->Whole({}), nullptr) << "the disk's";
  EXPECT_NE(memory.Open(other)->Whole({}), nullptr);
  while (memory.volumes()[0]->usage().object_count < 2) std::this_thread::yield();
  EXPECT_EQ(origin_.fetch_count(), 2);
}

// Whose file turned out to be wrong while it was copied.
class DoubtfulSource final : public RangeSource {
 public:
  explicit DoubtfulSource(RangeSource& origin) : origin_(origin) {}
  std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) override {
    return std::make_shared<Bytes>(*this, origin_.Open(version), version.size_bytes);
  }
  [[nodiscard]] int doubt_count() const { return doubt_count_; }

 private:
  class File final : public WholeFile {
   public:
    File(DoubtfulSource& source, uint64_t size_bytes) : source_(source) {
      EXPECT_EQ(ftruncate(fd_.get(), static_cast<off_t>(size_bytes)), 0);
    }
    [[nodiscard]] int fd() const override { return fd_.get(); }
    [[nodiscard]] bool MayBeBelieved() const override {
      ++source_.doubt_count_;
      return false;
    }

   private:
    DoubtfulSource& source_;
    const FileDescriptor fd_{memfd_create("zeros", MFD_CLOEXEC)};
  };
  class Bytes final : public ObjectBytes {
   public:
    Bytes(DoubtfulSource& source, std::shared_ptr<ObjectBytes> right, uint64_t size_bytes)
        : source_(source), right_(std::move(right)), size_bytes_(size_bytes) {}
    Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
      return right_->Read(request, sink);
    }
    std::shared_ptr<const WholeFile> Whole(Deadline) override {
      return std::make_shared<File>(source_, size_bytes_);
    }

   private:
    DoubtfulSource& source_;
    const std::shared_ptr<ObjectBytes> right_;
    const uint64_t size_bytes_;
  };

  RangeSource& origin_;
  std::atomic<int> doubt_count_{0};
};

TEST_F(TierTest, WhatIsNotToBeBelievedIsNotCopiedToMemory) {
  DoubtfulSource below(origin_);
  auto storage = OpenMemoryStorage(*MakeMemoryMedium(), {16 * kMiB, 256 * kKiB});
  ASSERT_TRUE(storage);
  std::vector<std::unique_ptr<CacheVolume>> volumes;
  volumes.push_back(std::make_unique<CacheVolume>(
      VolumeOptions{.capacity_bytes = 16 * kMiB, .free_bytes_min = 0, .may_wait = false},
      *std::move(storage), clock_));
  volumes[0]->WaitUntilScanned();
  Tier memory({.kind = ServedBy::kMemory, .bucket_identity = bucket_, .keep_at_first = false},
              std::move(volumes), below);
  const ObjectVersion object = Object(3 * kMiB);
  for (int i = 0; i < 2; ++i) EXPECT_NE(memory.Open(object)->Whole({}), nullptr);
  EXPECT_TRUE(
      Eventually([&] { return below.doubt_count() > 0 || memory.Cover(object, {}).whole; }));
  CollectingSink sink;
  ASSERT_TRUE(memory.Open(object)->Read({.range = {0, object.size_bytes}, .deadline = {}}, sink));
  EXPECT_TRUE(sink.data == Expected(object, {0, object.size_bytes}));
}

// Readers of a few objects at random places while objects give way to each other.
TEST_F(TierTest, ManyReadersOfASmallCacheReadWhatTheOriginHas) {
  Mount(3 * kMiB, 2);
  origin_.SetChunkBytes(10'007);
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 8; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      for (int i = 0; i < 60; ++i) {
        const ObjectVersion object =
            Object(1 + random() % 4 * 400'000, "key" + std::to_string(random() % 12));
        const auto bytes = tier_->Open(object);
        for (int j = 0; j < 4; ++j) {
          const uint64_t offset = random() % object.size_bytes / (16 * kKiB) * (16 * kKiB);
          const ByteRange range{offset,
                                std::min(1 + random() % 300'000, object.size_bytes - offset)};
          ASSERT_TRUE(Reads(*bytes, object, range));
          Data now(std::min<uint64_t>(4096, object.size_bytes - offset));
          if (bytes->ReadNow(offset, now)) {
            ASSERT_TRUE(now == Expected(object, {offset, now.size()}));
          }
        }
        if (const auto whole = bytes->Whole({})) {
          Data data(object.size_bytes);
          ASSERT_EQ(pread(whole->fd(), data.data(), data.size(), 0),
                    static_cast<ssize_t>(data.size()));
          ASSERT_TRUE(data == Expected(object, {0, object.size_bytes}));
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  WaitUntilWritten();
  for (size_t i = 0; i < 2; ++i) EXPECT_LE(UsedOnDisk(i), 3 * kMiB);
  EXPECT_GT(Volume().metrics().evicted_bytes.Value(), 0);
}

}  // namespace
}  // namespace shoal
