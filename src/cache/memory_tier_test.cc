// A tier in memory: its tmpfs, small objects on shelves in it, and who keeps it for the next
// process.
#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/file_descriptor.h"
#include "cache/memory_medium.h"
#include "cache/open_cache_directory.h"
#include "cache/tier.h"
#include "testing/collecting_sink.h"
#include "testing/fake_clock.h"
#include "testing/memory_range_source.h"
#include "testing/troubled_storage.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSmallBelow = 256 * kKiB;

class MemoryTierTest : public ::testing::Test {
 protected:
  // A process that is given the memory of the one before.
  void Start(uint64_t capacity_bytes) {
    tier_.reset();
    auto storage =
        OpenMemoryStorage(FileDescriptor(dup(medium_.get())), {capacity_bytes, kSmallBelow});
    ASSERT_TRUE(storage) << storage.error().detail;
    std::vector<std::unique_ptr<CacheVolume>> volumes;
    volumes.push_back(std::make_unique<CacheVolume>(
        VolumeOptions{.capacity_bytes = capacity_bytes, .free_bytes_min = 0, .may_wait = false},
        *std::move(storage), clock_));
    volumes.back()->WaitUntilScanned();
    tier_ = std::make_unique<Tier>(TierOptions{.bucket_identity = "bucket"}, std::move(volumes),
                                   origin_);
  }
  CacheVolume& Volume() { return *tier_->volumes()[0]; }
  static ObjectVersion Object(uint64_t size_bytes, std::string key = "key") {
    return {std::move(key), "\"1\"", size_bytes};
  }

  // All of it, right.
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
  ::testing::AssertionResult ReadsWithoutTheOrigin(const ObjectVersion& object) {
    const size_t before = origin_.fetch_count();
    const ::testing::AssertionResult reads = Reads(object);
    if (reads && origin_.fetch_count() != before) return ::testing::AssertionFailure() << "fetched";
    return reads;
  }
  [[nodiscard]] uint64_t UsedBytes() const {
    struct statvfs status {};
    EXPECT_EQ(fstatvfs(medium_.get(), &status), 0);
    return (status.f_blocks - status.f_bfree) * status.f_frsize;
  }

  const FileDescriptor medium_ = *MakeMemoryMedium();
  FakeClock clock_;
  MemoryRangeSource origin_;
  std::unique_ptr<Tier> tier_;
};

TEST_F(MemoryTierTest, GrowsBeyondWhatItsTmpfsHadRoomFor) {
  Start(kMiB);
  ASSERT_TRUE(Volume().SetCapacity(160 * kMiB));
  const ObjectVersion object = Object(128 * kMiB);
  ASSERT_TRUE(Reads(object));
  EXPECT_TRUE(ReadsWithoutTheOrigin(object));
}

TEST_F(MemoryTierTest, OutlivesTheProcessWhenSomebodyKeepsItsMedium) {
  Start(64 * kMiB);
  const ObjectVersion object = Object(3 * kMiB);
  ASSERT_TRUE(Reads(object));
  Start(64 * kMiB);
  EXPECT_TRUE(ReadsWithoutTheOrigin(object));

  Start(kMiB);  // less than there is
  Volume().WaitUntilWithinCapacity();
  EXPECT_LE(Volume().usage().used_bytes, kMiB);
  tier_.reset();
  ClearMemoryMedium(medium_.get());
  EXPECT_EQ(UsedBytes(), 0U) << "all of it is free again";
}

// It may be many files, and readers fill memory by themselves.
TEST_F(MemoryTierTest, NoReaderWaitsForTheCountOfWhatAnotherProcessLeft) {
  const auto trouble = std::make_shared<StorageTrouble>();
  trouble->FreezeCount();
  auto storage = OpenMemoryStorage(FileDescriptor(dup(medium_.get())), {64 * kMiB, kSmallBelow});
  ASSERT_TRUE(storage);
  std::vector<std::unique_ptr<CacheVolume>> volumes;
  volumes.push_back(std::make_unique<CacheVolume>(
      VolumeOptions{.capacity_bytes = 64 * kMiB, .free_bytes_min = 0, .may_wait = false},
      std::make_unique<TroubledStorage>(*std::move(storage), trouble), clock_));
  tier_ =
      std::make_unique<Tier>(TierOptions{.bucket_identity = "bucket"}, std::move(volumes), origin_);
  const ObjectVersion object = Object(3 * kMiB);
  EXPECT_TRUE(Reads(object));
  trouble->Thaw();
  Volume().WaitUntilScanned();
  ASSERT_TRUE(Reads(object));
  EXPECT_TRUE(ReadsWithoutTheOrigin(object));
}

TEST_F(MemoryTierTest, SmallObjectsShareFilesKeepToTheCapacityAndOutliveTheProcess) {
  constexpr uint64_t kCapacity = 8 * kMiB;
  const auto small = [](int i) { return Object(110 * kKiB, "small" + std::to_string(i)); };
  const auto is_here_now = [&](const ObjectVersion& object) {
    std::vector<std::byte> now(object.size_bytes);
    return tier_->Open(object)->ReadNow(0, now).has_value();
  };
  Start(kCapacity);
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(Reads(small(i)));
    EXPECT_LE(UsedBytes(), kCapacity) << i;
  }
  EXPECT_TRUE(is_here_now(small(399)));
  const std::string root = "/proc/self/fd/" + std::to_string(medium_.get()) + "/";
  for (const auto& entry : fs::recursive_directory_iterator(root))
    EXPECT_NE(entry.path().extension(), ".data") << "each has a file of its own";

  Start(kCapacity);
  EXPECT_TRUE(ReadsWithoutTheOrigin(small(399)));
  EXPECT_TRUE(is_here_now(small(399)));
}

TEST_F(MemoryTierTest, ThatWasMadeSmallerGrowsWhileWhatItHadIsInUse) {
  Start(256 * kMiB);
  const ObjectVersion object = Object(160 * kMiB);
  const auto used = tier_->Open(object);
  ASSERT_TRUE(Reads(object));
  ASSERT_TRUE(Volume().SetCapacity(8 * kMiB));
  const Result<> grown = Volume().SetCapacity(16 * kMiB);  // and it holds 160 MiB
  EXPECT_TRUE(grown) << grown.error().detail;
  EXPECT_EQ(Volume().capacity_bytes(), 16 * kMiB);
}

}  // namespace
}  // namespace shoal
