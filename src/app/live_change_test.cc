#include "app/live_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

MountOptions Options(const std::string& list) {
  auto options = ParseMountOptions({"efc,g_tier_DadiMemCacheCapacityMB=64", list}, false);
  EXPECT_TRUE(options) << options.error().detail;
  return *options;
}

TEST(LiveChange, NamesWhatDiffers) {
  EXPECT_THAT(ChangedOptions(Options("log_level=info"), Options("log_level=info")),
              testing::IsEmpty());
  EXPECT_THAT(ChangedOptions(Options("log_level=info"), Options("log_level=debug,readahead_kb=4")),
              testing::ElementsAre("log_level", "readahead_kb"));
}

TEST(LiveChange, IsForSizesLimitsAndTheLogLevel) {
  const MountOptions from = Options("");
  EXPECT_TRUE(CanChangeLive(from, Options("g_tier_DadiMemCacheCapacityMB=128")));
  EXPECT_TRUE(CanChangeLive(from, Options("g_readdircache_RemainTime=5,log_level=debug")));
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_DadiCachePageSizeKB=64")));
  EXPECT_FALSE(CanChangeLive(from, Options("log_level=debug,max_connections=2")));
}

TEST(LiveChange, MakesNoTierAndRemovesNone) {
  const MountOptions from = Options("");
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_DadiMemCacheCapacityMB=0")));
  EXPECT_FALSE(CanChangeLive(from, Options("g_tier_DadiDiskCacheCapacityMB=10")));
}

TEST(LiveChange, IsNotForWhatTheMetadataCacheIsMadeWith) {
  EXPECT_FALSE(CanChangeLive(Options("g_metadata_CacheEnable=true"),
                             Options("g_metadata_CacheEnable=true,g_readdircache_RemainTime=5")));
}

}  // namespace
}  // namespace shoal
