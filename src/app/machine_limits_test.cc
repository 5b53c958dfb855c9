#include "app/machine_limits.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "app/memory_plan.h"
#include "base/bytes.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

class MachineLimitsTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const auto file = root_.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  MemoryLimit Find() { return FindMemoryLimit(root_.path()); }

  TemporaryDirectory root_;
};

TEST_F(MachineLimitsTest, IsTheMachinesWhereNoGroupLimitsIt) {
  Write("proc/meminfo", "MemTotal:       1024 kB\nMemFree: 3 kB\n");
  Write("proc/self/cgroup", "0::/a\n");
  Write("sys/fs/cgroup/a/memory.max", "max\n");
  EXPECT_EQ(Find().bytes, kMiB);
  EXPECT_EQ(Find().whose, "the machine");
}

TEST_F(MachineLimitsTest, IsTheGroupsOfVersion2OrThatOfOneAroundIt) {
  Write("proc/meminfo", "MemTotal:       1024 kB\n");
  Write("proc/self/cgroup", "0::/outer/inner\n");
  Write("sys/fs/cgroup/outer/inner/memory.max", "5000\n");
  EXPECT_EQ(Find().bytes, 5000);
  EXPECT_EQ(Find().whose, "the control group /outer/inner");
  Write("sys/fs/cgroup/outer/memory.max", "4000\n");
  EXPECT_EQ(Find().bytes, 4000);
  EXPECT_EQ(Find().whose, "the control group /outer");
}

TEST_F(MachineLimitsTest, IsWhatTheKernelSlowsAGroupDownAtIfThatIsLess) {
  Write("proc/meminfo", "MemTotal:       1024 kB\n");
  Write("proc/self/cgroup", "0::/unit\n");
  Write("sys/fs/cgroup/unit/memory.max", "5000\n");
  Write("sys/fs/cgroup/unit/memory.high", "3000\n");
  EXPECT_EQ(Find().bytes, 3000);
  EXPECT_EQ(Find().whose, "the control group /unit");
}

TEST_F(MachineLimitsTest, IsTheGroupsOfVersion1) {
  Write("proc/meminfo", "MemTotal:       1024 kB\n");
  Write("proc/self/cgroup", "9:cpu,cpuacct:/x\n8:memory:/job\n0::/\n");
  Write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9000\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Find().bytes, 9000);
}

TEST_F(MachineLimitsTest, InAContainerThatSeesItsOwnGroupAsTheRootIsFoundAtTheRoot) {
  Write("proc/meminfo", "MemTotal:       1024 kB\n");
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/memory.max", "7000\n");
  EXPECT_EQ(Find().bytes, 7000);
}

TEST_F(MachineLimitsTest, NothingToReadIsNoLimit) {
  EXPECT_EQ(Find().bytes, ~uint64_t{0});
}

TEST_F(MachineLimitsTest, ThreadsAreLimitedByTheMachineOrAGroup) {
  Write("proc/sys/kernel/threads-max", "9000\n");
  Write("proc/self/cgroup", "8:pids:/job\n0::/unit\n");
  EXPECT_EQ(FindThreadLimit(root_.path()).count, 9000);
  Write("proc/sys/kernel/pid_max", "8000\n");
  EXPECT_EQ(FindThreadLimit(root_.path()).count, 8000);
  EXPECT_EQ(FindThreadLimit(root_.path()).whose, "the machine");
  Write("sys/fs/cgroup/unit/pids.max", "max\n");
  Write("sys/fs/cgroup/pids/job/pids.max", "500\n");
  EXPECT_EQ(FindThreadLimit(root_.path()).count, 500);
  EXPECT_EQ(FindThreadLimit(root_.path()).whose, "the control group /job");
  Write("sys/fs/cgroup/unit/pids.max", "100\n");
  EXPECT_EQ(FindThreadLimit(root_.path()).whose, "the control group /unit");
}

MountOptions WithCache(uint64_t memory_mib, uint64_t disk_mib) {
  MountOptions options;
  options.cache.memory_capacity_mib = memory_mib;
  options.cache.disk_capacity_mib = disk_mib;
  options.cache.disk_directories = "/a/:/b/";
  return options;
}

TEST(MemoryPlan, WhatFitsIsLeftAlone) {
  MountOptions options = WithCache(1024, 0);
  ASSERT_TRUE(FitIntoMemory({2048 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.read.memory_mib, 256);
  EXPECT_TRUE(options.notices.empty());
  EXPECT_LE(MemoryNeededBytes(options), 2048 * kMiB);
}

TEST(MemoryPlan, AQuarterOfWhatIsLeftIsForTheIndex) {
  MountOptions options = WithCache(1000, 4'000'000);
  ASSERT_TRUE(FitIntoMemory({16'000 * kMiB, "the machine"}, options));
  const uint64_t rest_mib = 16'000 - MemoryNeededBytes(options) / kMiB;
  EXPECT_EQ(options.cache.index_mib_max, 1 + 2 * 4000 + rest_mib / 4);
  options = WithCache(0, 100);
  ASSERT_TRUE(FitIntoMemory({100 * kMiB, "the control group /job"}, options));
  EXPECT_EQ(options.cache.index_mib_max, 0) << "nothing is left";
}

TEST(MemoryPlan, AnEighthOfWhatIsLeftIsForFilesThatAreKnown) {
  MountOptions options;
  ASSERT_TRUE(FitIntoMemory({16'000 * kMiB, "the machine"}, options));
  const uint64_t rest_mib = 16'000 - MemoryNeededBytes(options) / kMiB;
  EXPECT_EQ(options.file_system.inode_count_max, (32 + rest_mib / 8) * kMiB / 400);
  ASSERT_TRUE(FitIntoMemory({16'000 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.file_system.inode_count_max, (32 + rest_mib / 8) * kMiB / 400) << "not again";
  ASSERT_TRUE(FitIntoMemory({80 * kMiB, "the control group /job"}, options));
  EXPECT_EQ(options.file_system.inode_count_max, 2 * kMiB / 400);
}

TEST(MemoryPlan, AnEighthOfWhatIsLeftIsForListingsThatAreRead) {
  MountOptions options;
  ASSERT_TRUE(FitIntoMemory({4'000 * kMiB, "the machine"}, options));
  const uint64_t rest_mib = 4'000 - MemoryNeededBytes(options) / kMiB;
  EXPECT_EQ(options.file_system.listing_bytes_max, (16 + rest_mib / 8) * kMiB);
  ASSERT_TRUE(FitIntoMemory({100'000 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.file_system.listing_bytes_max, 1024 * kMiB);
  ASSERT_TRUE(FitIntoMemory({80 * kMiB, "the control group /job"}, options));
  EXPECT_EQ(options.file_system.listing_bytes_max, kMiB);
}

TEST(MemoryPlan, AnEighthOfWhatIsLeftIsForTheAdminPortAndItsTasks) {
  MountOptions options;
  ASSERT_TRUE(FitIntoMemory({100'000 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.admin.held_bytes_max, 64 * kMiB);
  EXPECT_EQ(options.warmup.listed_count_max, 250'000);
  EXPECT_EQ(options.warmup.text_bytes_max, 32 * kMiB);
  ASSERT_TRUE(FitIntoMemory({1'600 * kMiB, "the control group /job"}, options));
  const uint64_t rest_mib = 1'600 - MemoryNeededBytes(options) / kMiB;
  EXPECT_LT(rest_mib / 32, 64);
  EXPECT_EQ(options.admin.held_bytes_max, rest_mib / 8 / 4 * kMiB);
  EXPECT_EQ(options.warmup.listed_count_max, rest_mib / 8 / 4 * kMiB / 200);
  EXPECT_EQ(options.warmup.text_bytes_max, rest_mib / 8 * kMiB / 12);
  ASSERT_TRUE(FitIntoMemory({80 * kMiB, "the control group /job"}, options));
  EXPECT_EQ(options.admin.held_bytes_max, 2 * kMiB);
  EXPECT_EQ(options.warmup.listed_count_max, 2 * kMiB / 200);
  EXPECT_EQ(options.warmup.text_bytes_max, 8 * kMiB / 12);
}

TEST(MemoryPlan, ReadingAheadGivesWayFirst) {
  MountOptions options = WithCache(0, 1000);
  ASSERT_TRUE(FitIntoMemory({512 * kMiB, "the machine"}, options));
  // 512 - 32 - 32 - 16 - 64 * 3 / 2 - 40 - 100 - 2 * 64 - 2000 / 1000
  EXPECT_EQ(options.read.memory_mib, 66);
  EXPECT_EQ(MemoryNeededBytes(options), 512 * kMiB);
  EXPECT_EQ(options.notices.size(), 1);
}

TEST(MemoryPlan, ThenWhatWaitsToBeWrittenThenListings) {
  MountOptions options = WithCache(0, 1000);
  ASSERT_TRUE(FitIntoMemory({412 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.read.memory_mib, 16);
  // Half of 412 - 32 - 32 - 16 - 64 * 3 / 2 - 40 - 100 - 16 - 2000 / 1000
  EXPECT_EQ(options.cache.write_queue_mib, 39);
  EXPECT_LE(MemoryNeededBytes(options), 412 * kMiB);
  EXPECT_EQ(options.notices.size(), 2);
  options = WithCache(0, 1000);
  ASSERT_TRUE(FitIntoMemory({272 * kMiB, "the control group /job"}, options));
  EXPECT_EQ(options.cache.write_queue_mib, 8);
  EXPECT_EQ(options.file_system.directory_cache_size_bytes_max, 22 * kMiB);
  EXPECT_EQ(MemoryNeededBytes(options), 272 * kMiB);
  ASSERT_EQ(options.notices.size(), 3);
  EXPECT_EQ(options.notices.back().text,
            "g_readdircache_MaxSize: 23068672 instead of 104857600, as the control group /job "
            "allows 272 MiB");
}

TEST(MemoryPlan, ThenTheRingsGoUnlessTheyWereAskedFor) {
  MountOptions options;
  ASSERT_TRUE(FitIntoMemory({96 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.session.transport, "dev");
  EXPECT_EQ(options.notices.back().text,
            "transport: dev instead of auto, as the machine allows 96 MiB");
  options = {};
  options.session.transport = "io_uring";
  ASSERT_TRUE(FitIntoMemory({96 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.session.transport, "io_uring");
}

TEST(MemoryPlan, ConnectionsOfWarmupGoBeforeTheRingsAndThoseOfReadersAfterThem) {
  MountOptions options;
  options.cache.disk_capacity_mib = 200;
  options.cache.disk_directories = "/a/";
  options.admin.port = 9600;
  ASSERT_TRUE(FitIntoMemory({220 * kMiB, "the machine"}, options));
  // 2 * (220 - 32 - 64 * 3 / 2 - 40 - 16 - 8 - 8)
  EXPECT_EQ(options.warmup.connection_count_max, 40);
  EXPECT_EQ(options.origin.connection_count_max, 64);
  EXPECT_EQ(options.session.transport, "auto");
  EXPECT_EQ(MemoryNeededBytes(options), 220 * kMiB);
  ASSERT_TRUE(FitIntoMemory({100 * kMiB, "the machine"}, options));
  EXPECT_EQ(options.warmup.connection_count_max, 8);
  // 2 / 3 of 100 - 32 - 8 / 2 - 16 - 8 - 8
  EXPECT_EQ(options.origin.connection_count_max, 21);
  EXPECT_EQ(options.read.fetch_count_max, 21);
  EXPECT_LE(MemoryNeededBytes(options), 100 * kMiB);
  EXPECT_EQ(options.notices.back().text,
            "max_connections: 21 instead of 64, as the machine allows 100 MiB");
}

TEST(MemoryPlan, AListingCacheThatIsTooLargeIsMadeSmaller) {
  MountOptions options;
  options.file_system.directory_cache_size_bytes_max = 10240 * kMiB;
  ASSERT_TRUE(FitIntoMemory({2048 * kMiB, "the machine"}, options));
  EXPECT_LE(MemoryNeededBytes(options), 2048 * kMiB);
  options.file_system.directory_cache = false;
  options.file_system.directory_cache_size_bytes_max = 10240 * kMiB;
  options.notices.clear();
  ASSERT_TRUE(FitIntoMemory({2048 * kMiB, "the machine"}, options));
  EXPECT_TRUE(options.notices.empty()) << "one that is off takes nothing";
}

std::string WhyNot(MountOptions options, uint64_t limit_mib) {
  const Result<> fits = FitIntoMemory({limit_mib * kMiB, "the machine"}, options);
  return fits ? "it fits" : fits.error().detail;
}

TEST(MemoryPlan, WhatCannotBeMadeSmallerIsNamed) {
  EXPECT_EQ(WhyNot(WithCache(0, 4'000'000), 3000),
            "g_tier_DadiDiskCacheCapacityMB: 8000 MiB for the index of what is cached do not fit: "
            "the machine allows 3000 MiB, and the rest of the daemon needs 72 at least");
  MountOptions names;
  names.file_system.metadata_cache = true;
  EXPECT_EQ(WhyNot(names, 300),
            "g_metadata_CacheEnable: 256 MiB for the names do not fit: the machine allows 300 MiB, "
            "and the rest of the daemon needs 48 at least");
  MountOptions many = WithCache(0, 64);
  for (int i = 0; i < 30; ++i) many.cache.disk_directories += fmt::format(":/{}/", i);
  EXPECT_EQ(WhyNot(many, 200),
            "g_tier_DadiDiskCachePath: 256 MiB for what waits to be written to 32 directories do "
            "not fit: the machine allows 200 MiB, and the rest of the daemon needs 64 at least");
  EXPECT_EQ(WhyNot({}, 40),
            "read_memory_mb: the daemon needs 48 MiB at least, and the machine allows 40");
}

TEST(MemoryPlan, OfColonsOnlyDirectoriesBetweenThemCount) {
  MountOptions options = WithCache(0, 1000);
  const uint64_t needed_bytes = MemoryNeededBytes(options);
  options.cache.disk_directories = ":/a/::/b/:";
  EXPECT_EQ(MemoryNeededBytes(options), needed_bytes);
}

TEST(MemoryPlan, WhatAControlGroupOf64MibAllows) {
  MountOptions options;
  options.cache.disk_capacity_mib = 200;
  options.cache.disk_directories = "/a/";
  EXPECT_EQ(WhyNot(options, 64), "it fits");
}

TEST(MemoryPlan, AMemoryCacheThatDoesNotFitIsRefused) {
  MountOptions options = WithCache(1024, 0);
  const Result<> fits = FitIntoMemory({1004 * kMiB, "the control group /job"}, options);
  ASSERT_FALSE(fits);
  EXPECT_EQ(fits.error().detail,
            "g_tier_DadiMemCacheCapacityMB: 1024 MiB do not fit: the control group /job "
            "allows 1004 MiB, and the rest of the daemon needs 57 at least");
}

TEST(MemoryPlan, ACacheThatIsOffNeedsNothing) {
  MountOptions options = WithCache(4096, 4096);
  options.cache.enabled = false;
  EXPECT_TRUE(FitIntoMemory({512 * kMiB, "the machine"}, options));
}

}  // namespace
}  // namespace shoal
