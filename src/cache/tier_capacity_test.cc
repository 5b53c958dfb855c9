// How much a tier of cache directories takes, and what gives way.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "cache/options.h"
#include "testing/disk_tier.h"
#include "testing/eventually.h"

namespace shoal {
namespace {

class TierCapacityTest : public DiskTierTest {
 protected:
  // Of all shelves.
  uint64_t IndexBytes() const {
    uint64_t bytes = 0;
    for (const fs::path& path : Files(".index")) bytes += fs::file_size(path);
    return bytes;
  }
};

TEST_F(TierCapacityTest, NeverTakesMoreThanItsCapacity) {
  constexpr uint64_t kCapacity = 8 * kMiB;
  Mount(kCapacity);
  std::mt19937_64 random(3);
  for (int i = 0; i < 150; ++i) {
    const ObjectVersion object =
        Object(1 + random() % (i % 10 == 0 ? 3 * kMiB : 200'000), "key" + std::to_string(i));
    ASSERT_TRUE(Reads(object, {0, object.size_bytes}));
    WaitUntilWritten();  // a walk while files come and go would count some twice
    ASSERT_LE(UsedOnDisk(), kCapacity);
    ASSERT_LE(Volume().usage().used_bytes, kCapacity);
  }
  WaitUntilWritten();
  EXPECT_GT(UsedOnDisk(), kCapacity / 2);
  EXPECT_GT(Volume().metrics().evicted_bytes.Value(), 0);
}

TEST_F(TierCapacityTest, WhatIsOnlyPromisedDoesNotCountBesideWhatGivesWayToIt) {
  Mount(8 * kMiB);
  for (int i = 0; i < 12; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  uint64_t used_bytes = 0;
  Trouble().AnswerIsMapped([&] {
    used_bytes = Volume().usage().used_bytes;
    return false;
  });
  Keep(Object(kMiB, "one more"));
  ASSERT_FALSE(Trouble().TakeIsMapped()) << "it was asked";
  EXPECT_GT(used_bytes, 7 * kMiB);
  EXPECT_LE(used_bytes, 8 * kMiB);
}

TEST_F(TierCapacityTest, WhenObjectsWereUsedIsNotedWithinTheCapacity) {
  constexpr uint64_t kCapacity = 16 * kMiB;
  constexpr int kObjects = 2'200;
  shelved_below_bytes_ = 256 * kKiB;
  index_bytes_max_ = kMiB;
  const auto tiny = [](int i) { return Object(100, "key" + std::to_string(i)); };
  for (int round = 0; round < 6; ++round) {
    Mount(kCapacity);
    Volume().WaitUntilWithinCapacity();
    for (int i = 0; i < kObjects; ++i) Keep(tiny(i));
    const uint64_t before = IndexBytes();
    clock_.Advance(std::chrono::seconds(6));
    if (round > 0) {  // what was here was used
      EXPECT_TRUE(Eventually([&] { return IndexBytes() > before; })) << "it is not left to the end";
    }
    EXPECT_TRUE(Eventually([&] { return Volume().usage().used_bytes <= kCapacity; }));
    Unmount();
    ASSERT_LE(UsedOnDisk(), kCapacity) << round;
    ASSERT_GT(UsedOnDisk(), kCapacity - 2 * kMiB) << round;
  }
}

TEST_F(TierCapacityTest, WhatDoesNotFitIntoASmallerCapacityGoesAtTheNextMount) {
  Mount(32 * kMiB);
  for (int i = 0; i < 20; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  Mount(8 * kMiB);
  Volume().WaitUntilWithinCapacity();
  EXPECT_LE(UsedOnDisk(), 8 * kMiB);
  EXPECT_GE(Volume().usage().object_count, 6) << "what still fits stays";
}

// Else a cache full of tiny objects would take memory that nobody planned for.
TEST_F(TierCapacityTest, TinyObjectsGiveWayWhenTheMemoryToKnowThemIsUsed) {
  constexpr uint64_t kCapacity = 128 * kMiB;  // room for 16,000 of them
  shelved_below_bytes_ = 256 * kKiB;
  index_bytes_max_ = 768 * kKiB;
  Mount(kCapacity);
  const auto tiny = [](int i) { return Object(100, "key" + std::to_string(i)); };
  for (int i = 0; i < 11'000; ++i) Keep(tiny(i));
  const CacheVolume::Usage usage = Volume().usage();
  EXPECT_LE(usage.object_count, usage.object_count_max);
  EXPECT_GT(usage.object_count, usage.object_count_max * 9 / 10);
  EXPECT_LE(usage.index_bytes, index_bytes_max_);
  EXPECT_GT(usage.index_bytes, index_bytes_max_ / 2) << "what is planned for is used";
  EXPECT_EQ(origin_.fetch_count(), 11'000);
  EXPECT_TRUE(Reads(tiny(10'999), {0, 100}));
  EXPECT_EQ(origin_.fetch_count(), 11'000) << "the newest is here";
}

TEST_F(TierCapacityTest, TinyObjectsThatMemoryIsNotPlannedForGoAtTheNextMount) {
  constexpr uint64_t kCapacity = 128 * kMiB;
  shelved_below_bytes_ = 256 * kKiB;
  Mount(kCapacity);
  for (int i = 0; i < 6'000; ++i) Keep(Object(100, "key" + std::to_string(i)));
  EXPECT_EQ(Volume().usage().object_count, 6'000);
  index_bytes_max_ = 0;  // but for what it always may take
  Mount(kCapacity);
  Volume().WaitUntilWithinCapacity();
  const CacheVolume::Usage usage = Volume().usage();
  EXPECT_EQ(usage.object_count, usage.object_count_max);
  EXPECT_LT(usage.object_count_max, 6'000);
  EXPECT_LE(usage.index_bytes, IndexBytesMin(kCapacity) * 9 / 8) << "the others were never known";
  int kept_count = 0;
  for (int i = 0; i < 6'000; ++i) {
    const ObjectVersion object = Object(100, "key" + std::to_string(i));
    if (!tier_->Cover(object, {}).whole) continue;
    ++kept_count;
    ASSERT_TRUE(Reads(object, {0, 100}));
  }
  EXPECT_EQ(kept_count, usage.object_count_max);
  EXPECT_EQ(origin_.fetch_count(), 6'000) << "what stayed is whole";
}

// Of another page size they are of no use, and cannot go: the kernel may have them open.
TEST_F(TierCapacityTest, FilesOfAnotherPageSizeThatAreOpenCountUntilTheyAreClosed) {
  Mount(32 * kMiB);
  for (int i = 0; i < 4; ++i) Keep(Object(7 * kMiB, "old" + std::to_string(i)));
  std::vector<FileDescriptor> open;
  for (const fs::path& path : Files(".data"))
    open.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(open.size(), 4u);
  Mount(32 * kMiB, 1, 64 * kKiB);
  for (int i = 0; i < 4; ++i) Keep(Object(7 * kMiB, "old" + std::to_string(i)));
  for (int i = 0; i < 4; ++i) Keep(Object(7 * kMiB, "new" + std::to_string(i)));
  uint64_t nameless_bytes = 0;
  for (const FileDescriptor& file : open) {
    struct stat status {};
    ASSERT_EQ(fstat(file.get(), &status), 0);
    if (status.st_nlink == 0) nameless_bytes += static_cast<uint64_t>(status.st_blocks) * 512;
  }
  EXPECT_LE(UsedOnDisk() + nameless_bytes, 32 * kMiB);
  open.clear();
  // They have the room now, once the scrub has closed them as well.
  EXPECT_TRUE(Eventually([&] {
    const size_t before = origin_.fetch_count();
    for (int i = 0; i < 4; ++i) Keep(Object(7 * kMiB, "new" + std::to_string(i)));
    return origin_.fetch_count() == before;
  }));
}

// It is written while what is too much is being removed: in that room and no other.
TEST_F(TierCapacityTest, AWriteMeanwhileEvictsNothingMoreThanACapacityMadeSmallerAsksFor) {
  Mount(32 * kMiB);
  for (int i = 0; i < 20; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  Trouble().AnswerIsMapped([&] {
    EXPECT_TRUE(Reads(Object(16 * kKiB, "new"), {0, 16 * kKiB}));
    WaitUntilWritten();
    return false;
  });
  ASSERT_TRUE(Volume().SetCapacity(12 * kMiB));
  Volume().WaitUntilWithinCapacity();
  EXPECT_LE(UsedOnDisk(), 12 * kMiB);
  EXPECT_GE(Volume().usage().object_count, 10);
}

TEST_F(TierCapacityTest, ACapacityMadeSmallerHoldsAtOnceButForWhatIsInUse) {
  Mount(32 * kMiB);
  for (int i = 0; i < 20; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  std::shared_ptr<const WholeFile> used = tier_->Open(Object(kMiB, "key3"))->Whole({});
  ASSERT_NE(used, nullptr);
  ASSERT_TRUE(Volume().SetCapacity(8 * kMiB));
  Volume().WaitUntilWithinCapacity();
  EXPECT_LE(UsedOnDisk(), 8 * kMiB);
  EXPECT_GT(UsedOnDisk(), 5 * kMiB) << "what still fits stays";
  EXPECT_EQ(Volume().capacity_bytes(), 8 * kMiB);
  Data whole(kMiB);
  ASSERT_EQ(pread(used->fd(), whole.data(), whole.size(), 0), static_cast<ssize_t>(kMiB));
  EXPECT_EQ(whole, Expected(Object(kMiB, "key3"), {0, kMiB}));

  ASSERT_TRUE(Volume().SetCapacity(kMiB / 2));
  used.reset();
  Volume().WaitUntilWithinCapacity();
  EXPECT_LE(UsedOnDisk(), kMiB / 2);
}

TEST_F(TierCapacityTest, ACapacityMadeLargerIsUsed) {
  Mount(4 * kMiB);
  ASSERT_TRUE(Volume().SetCapacity(32 * kMiB));
  for (int i = 0; i < 20; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  const size_t before = origin_.fetch_count();
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(Reads(Object(kMiB, "key" + std::to_string(i)), {0, kMiB}));
  EXPECT_EQ(origin_.fetch_count(), before);
}

TEST_F(TierCapacityTest, AnObjectLargerThanTheCapacityKeepsWhatFits) {
  Mount(4 * kMiB);
  const ObjectVersion object = Object(20 * kMiB);
  for (int pass = 0; pass < 2; ++pass) {
    const auto bytes = tier_->Open(object);
    for (uint64_t offset = 0; offset < object.size_bytes; offset += kMiB) {
      ASSERT_TRUE(Reads(*bytes, object, {offset, kMiB}));
      WaitUntilWritten();
    }
    EXPECT_LE(UsedOnDisk(), 4 * kMiB);
  }
  EXPECT_LE(origin_.asked_bytes(), 2 * object.size_bytes - 3 * kMiB);
}

TEST_F(TierCapacityTest, WhatIsInUseIsNotEvicted) {
  Mount(4 * kMiB);
  const ObjectVersion held = Object(2 * kMiB, "held");
  Keep(held);
  const auto whole = tier_->Open(held)->Whole({});
  ASSERT_NE(whole, nullptr);
  for (int i = 0; i < 20; ++i) Keep(Object(kMiB, "key" + std::to_string(i)));
  const size_t before = origin_.fetch_count();
  EXPECT_TRUE(Reads(held, {0, held.size_bytes}));
  EXPECT_EQ(origin_.fetch_count(), before);
  EXPECT_LE(UsedOnDisk(), 4 * kMiB);
}

}  // namespace
}  // namespace shoal
