#include "app/restart_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/mount_words.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;

MountState Mounted(std::vector<std::string> options) {
  return {.source = "data.oss.example:/",
          .subtype = "alinas",
          .mount_point = "/mnt/x",
          .options = std::move(options),
          .log_level = "warning",
          .binary = "/bin/shoal",
          .version = "1"};
}

TEST(WithOptions, WhatIsSaidAgainTakesThePlaceOfWhatWas) {
  const auto state = WithOptions(Mounted({"efc,entry_timeout=1", "readahead_kb=8"}),
                                 {"entry_timeout=2,read_memory_mb=64"});
  ASSERT_TRUE(state) << state.error().detail;
  EXPECT_THAT(state->options,
              ElementsAre("efc", "readahead_kb=8", "entry_timeout=2,read_memory_mb=64"));
  EXPECT_EQ(state->log_level, "warning");
}

TEST(WithOptions, OptionsDoNotGrowWithEachUpdate) {
  MountState state = Mounted({"efc"});
  for (int i = 0; i < 100; ++i) state = *WithOptions(state, {"entry_timeout=" + std::to_string(i)});
  EXPECT_THAT(state.options, ElementsAre("efc", "entry_timeout=99"));
}

TEST(WithOptions, ALogLevelPutsTheOneOfTheCommandLineOutOfForce) {
  EXPECT_EQ(WithOptions(Mounted({"efc"}), {"log_level=debug"})->log_level, "");
}

TEST(WithOptions, WhatIsWrongIsNamed) {
  EXPECT_EQ(WithOptions(Mounted({"efc"}), {"nonsense=1"}).error().code, Errc::kInvalid);
  EXPECT_EQ(WithOptions(Mounted({"efc"}), {"readahead_kb=x"}).error().code, Errc::kInvalid);
}

TEST(OptionsOfTheNextMount, AreThoseTheKernelWasTold) {
  const MountState from = Mounted({"transport=dev,passthrough=off"});
  EXPECT_THAT(OptionsOfTheNextMount(from, Mounted({"transport=io_uring,entry_timeout=3"})),
              ElementsAre("transport", "passthrough"));
  EXPECT_THAT(OptionsOfTheNextMount(Mounted({"passthrough=auto"}), Mounted({"passthrough=off"})),
              ElementsAre());
  EXPECT_THAT(OptionsOfTheNextMount(Mounted({}), Mounted({"open_requests=off"})),
              ElementsAre("open_requests"));
  EXPECT_THAT(OptionsOfTheNextMount(Mounted({"open_requests=off"}), Mounted({})),
              ElementsAre("open_requests"));
  EXPECT_THAT(OptionsOfTheNextMount(Mounted({}), Mounted({"noatime"})),
              ElementsAre("exec, atime and their like"));
}

TEST(RemountWords, OnlyThoseThatChangeWhatTheKernelShowsAreLeft) {
  // mount(8) puts what the kernel shows in front of what was typed.
  const std::string shown = "ro,nosuid,nodev,relatime";
  EXPECT_THAT(WordsNotInForce({"ro", "nosuid", "nodev", "relatime", "rw"}, shown), ElementsAre());
  EXPECT_THAT(WordsNotInForce({"relatime", "noatime", "exec"}, shown), ElementsAre("noatime"));
  EXPECT_THAT(WordsNotInForce({"noatime", "noexec", "exec"}, "ro,noatime,noexec"),
              ElementsAre("exec"));
  EXPECT_THAT(WordsNotInForce({"relatime"}, "ro,noatime"), ElementsAre("relatime"));
}

TEST(IsRemount, OnlyTheWordItselfIsOne) {
  EXPECT_TRUE(IsRemount({"ro,remount"}));
  EXPECT_TRUE(IsRemount({"ro", "remount,x=1"}));
  EXPECT_FALSE(IsRemount({"x=remount", "ro"}));
}

}  // namespace
}  // namespace shoal
