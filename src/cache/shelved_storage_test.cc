// Small objects in a tier whose directory keeps them on shelves.
#include "cache/shelved_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "cache/open_cache_directory.h"
#include "cache/tier.h"
#include "testing/collecting_sink.h"
#include "testing/eventually.h"
#include "testing/fake_clock.h"
#include "testing/memory_range_source.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kSmallBelow = 256 * kKiB;

ObjectVersion Small(int number) {
  return {"small/" + std::to_string(number), "\"1\"", 40 * kKiB + static_cast<uint64_t>(number)};
}

class ShelvedTierTest : public ::testing::Test {
 protected:
  void Mount(uint64_t capacity_bytes = 64 * kMiB, uint64_t small_below = kSmallBelow) {
    tier_.reset();
    auto storage = OpenCacheDirectory(outside_.path(), {.shelved_below_bytes = small_below});
    ASSERT_TRUE(storage) << storage.error().detail;
    std::vector<std::unique_ptr<CacheVolume>> volumes;
    volumes.push_back(std::make_unique<CacheVolume>(
        VolumeOptions{.capacity_bytes = capacity_bytes, .free_bytes_min = 0}, *std::move(storage),
        clock_));
    volumes.back()->WaitUntilScanned();
    tier_ = std::make_unique<Tier>(TierOptions{.bucket_identity = "bucket"}, std::move(volumes),
                                   origin_);
  }
  CacheVolume& Volume() { return *tier_->volumes()[0]; }

  // Whole, with the bytes of the object, or it is said what is wrong.
  ::testing::AssertionResult Reads(const ObjectVersion& object) {
    CollectingSink sink;
    const auto read =
        tier_->Open(object)->Read({.range = {0, object.size_bytes}, .deadline = {}}, sink);
    if (!read) return ::testing::AssertionFailure() << read.error().detail;
    std::vector<std::byte> expected(object.size_bytes);
    MemoryRangeSource::Generate(object, 0, expected);
    if (sink.data != expected) return ::testing::AssertionFailure() << "wrong bytes";
    return ::testing::AssertionSuccess();
  }
  void Keep(const ObjectVersion& object) {
    ASSERT_TRUE(Reads(object));
    Volume().WaitUntilWritten();
  }
  bool IsWhole(const ObjectVersion& object) { return tier_->Cover(object, {}).whole; }

  std::vector<fs::path> Files(const std::string& suffix) const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(outside_.path()))
      if (entry.path().extension() == suffix) files.push_back(entry.path());
    return files;
  }
  // As du(1) counts.
  uint64_t UsedOnDisk() const {
    uint64_t bytes = 0;
    for (const auto& entry : fs::recursive_directory_iterator(outside_.path())) {
      struct stat file {};
      if (lstat(entry.path().c_str(), &file) == 0)
        bytes += static_cast<uint64_t>(file.st_blocks) * 512;
    }
    return bytes;
  }

  TemporaryDirectory outside_;
  FakeClock clock_;
  MemoryRangeSource origin_;
  std::unique_ptr<Tier> tier_;
};

TEST_F(ShelvedTierTest, SmallObjectsShareFilesAndLargeOnesHaveTheirOwn) {
  Mount();
  for (int i = 0; i < 100; ++i) Keep(Small(i));
  EXPECT_THAT(Files(".data"), IsEmpty());
  Keep({"large", "\"1\"", kSmallBelow});
  EXPECT_THAT(Files(".data"), SizeIs(1));
  EXPECT_EQ(Volume().usage().object_count, 101U);
}

TEST_F(ShelvedTierTest, ARestartServesWhatWasKept) {
  Mount();
  for (int i = 0; i < 50; ++i) Keep(Small(i));
  const uint64_t fetched = origin_.sent_bytes();
  Mount();
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(IsWhole(Small(i))) << i;
    EXPECT_TRUE(Reads(Small(i))) << i;
  }
  EXPECT_EQ(origin_.sent_bytes(), fetched);
}

TEST_F(ShelvedTierTest, NoneOfThemIsGivenToTheKernel) {
  Mount();
  Keep(Small(1));
  const auto bytes = tier_->Open(Small(1));
  EXPECT_EQ(bytes->Whole({}), nullptr);
  EXPECT_EQ(bytes->WholeIfKnown(), std::shared_ptr<const WholeFile>());
}

TEST_F(ShelvedTierTest, WhatIsEvictedMakesRoomOnTheMedium) {
  constexpr uint64_t kCapacity = 4 * kMiB;
  Mount(kCapacity);
  for (int i = 0; i < 400; ++i) {
    Keep(Small(i));
    ASSERT_LE(UsedOnDisk(), kCapacity) << i;
  }
  EXPECT_LE(UsedOnDisk(), kCapacity);
  EXPECT_GT(UsedOnDisk(), kCapacity / 2);
  EXPECT_GT(Volume().metrics().evicted_bytes.Value(), 0U);
  Mount(kCapacity / 2);  // a smaller one keeps what fits
  Volume().WaitUntilWithinCapacity();
  EXPECT_LE(UsedOnDisk(), kCapacity / 2);
  int whole_count = 0;
  for (int i = 0; i < 400; ++i) whole_count += IsWhole(Small(i)) ? 1 : 0;
  EXPECT_GT(whole_count, 20);
  for (int i = 0; i < 400; ++i) EXPECT_TRUE(Reads(Small(i))) << i;
}

TEST_F(ShelvedTierTest, ADamagedOneIsPutAsideAsFilesAndFetchedAgain) {
  Mount();
  for (int i = 0; i < 20; ++i) Keep(Small(i));
  tier_.reset();
  for (const fs::path& file : Files(".bytes")) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(4096 + 20'000);  // in the first object's bytes
    bytes.put('!').put('?');
  }
  const size_t damaged_count = Files(".bytes").size();
  Mount();
  // Who finds the damage has the bytes from the store; the next one has them kept.
  for (int round = 0; round < 2; ++round, Volume().WaitUntilWritten())
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(Reads(Small(i))) << i;
  // The upkeep looks for damage as well, and may be about to put aside what it found.
  EXPECT_TRUE(Eventually([&] { return Volume().metrics().put_aside.Value() >= damaged_count; }));
  EXPECT_EQ(Volume().metrics().put_aside.Value(), damaged_count);
  EXPECT_THAT(Files(".data"), SizeIs(std::min<size_t>(damaged_count, 8)));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(IsWhole(Small(i))) << i;
}

TEST_F(ShelvedTierTest, BytesThatAPowerLossTookAreFetchedAgain) {
  Mount();
  for (int i = 0; i < 20; ++i) Keep(Small(i));
  tier_.reset();
  for (const fs::path& file : Files(".bytes")) fs::resize_file(file, 5 * 4096);
  Mount();
  // The upkeep looks as well, and may put aside what a reader has fetched anew: then the next
  // reader fetches it once more.
  const auto all_are_whole = [&] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(Reads(Small(i))) << i;
    Volume().WaitUntilWritten();
    int whole_count = 0;
    for (int i = 0; i < 20; ++i) whole_count += IsWhole(Small(i)) ? 1 : 0;
    return whole_count == 20;
  };
  EXPECT_TRUE(Eventually(all_are_whole));
}

TEST_F(ShelvedTierTest, ADirectoryOfTheVersionWithoutShelvesIsUsedAsItIs) {
  Mount(64 * kMiB, /*small_below=*/0);
  for (int i = 0; i < 20; ++i) Keep(Small(i));
  EXPECT_THAT(Files(".data"), SizeIs(20));
  tier_.reset();
  fs::remove_all(outside_.path() / "shoal-cache/shelves");
  std::ofstream(outside_.path() / "shoal-cache/FORMAT") << "shoal cache 1\n";
  const uint64_t fetched = origin_.sent_bytes();
  Mount();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Reads(Small(i))) << i;
  EXPECT_EQ(origin_.sent_bytes(), fetched);
  std::ifstream format(outside_.path() / "shoal-cache/FORMAT");
  std::string text(std::istreambuf_iterator<char>(format), {});
  EXPECT_EQ(text, "shoal cache 2\n");
}

}  // namespace
}  // namespace shoal
