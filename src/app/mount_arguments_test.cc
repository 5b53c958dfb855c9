#include "app/mount_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/exit_status.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr MountCommandName kCommand{"shoal mount", "shoal", false};
constexpr MountCommandName kHelper{"mount.alinas", "alinas", true};

tl::expected<MountArguments, int> Parse(const MountCommandName& name,
                                        std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return ParseMountArguments(static_cast<int>(arguments.size()), arguments.data(), name);
}

TEST(MountArguments, AreReadAsTheSpecificationWritesThem) {
  const auto parsed = Parse(kHelper, {"b.e.com:/", "/mnt/oss_data", "-o",
                                      "rw,efc,protocol=oss,g_oss_STSFile=/etc/passwd-sts"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->source, "b.e.com:/");
  EXPECT_EQ(parsed->mount_point, "/mnt/oss_data");
  EXPECT_THAT(parsed->options, ElementsAre("rw,efc,protocol=oss,g_oss_STSFile=/etc/passwd-sts"));
  EXPECT_EQ(parsed->subtype, "alinas");
  EXPECT_FALSE(parsed->foreground || parsed->fake || parsed->sloppy || parsed->verbose);
}

TEST(MountArguments, OptionsMayStandBeforeTheSourceAndBeRepeated) {
  const auto parsed = Parse(kCommand, {"-o", "efc", "-o", "a=b,c=d", "b:/", "/mnt"});
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->options, ElementsAre("efc", "a=b,c=d"));
  EXPECT_EQ(parsed->source, "b:/");
  EXPECT_EQ(parsed->mount_point, "/mnt");
  EXPECT_EQ(parsed->subtype, "shoal");
}

TEST(MountArguments, LettersMayStandTogetherAsMount8PassesThem) {
  const auto parsed = Parse(
      kHelper, {"b:/", "/mnt", "-sfnv", "-N", "/proc/7/ns/mnt", "-o", "ro", "-t", "fuse.other"});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->sloppy && parsed->fake && parsed->verbose);
  EXPECT_FALSE(parsed->foreground);
  EXPECT_EQ(parsed->mount_namespace, "/proc/7/ns/mnt");
  EXPECT_EQ(parsed->subtype, "other");
}

TEST(MountArguments, TheLetterFIsForegroundOnlyForTheCommand) {
  const auto parsed = Parse(kCommand, {"-f", "b:/", "/mnt", "--log-level", "debug"});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->foreground);
  EXPECT_FALSE(parsed->fake);
  EXPECT_EQ(parsed->log_level, "debug");
}

TEST(MountArguments, AnIncompleteOrUnknownCommandLineIsAUsageError) {
  for (const std::vector<const char*>& arguments : {std::vector<const char*>{},
                                                    {"b:/"},
                                                    {"b:/", "/mnt", "/more"},
                                                    {"b:/", "/mnt", "-x"},
                                                    {"b:/", "/mnt", "-o"},
                                                    {"b:/", "/mnt", "-t", "a,b"},
                                                    {"b:/", "/mnt", "-t", "fuse."}}) {
    testing::internal::CaptureStderr();
    const auto parsed = Parse(kHelper, arguments);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::StartsWith("mount.alinas: "));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error(), kExitUsage);
  }
}

TEST(MountArguments, HelpListsTheOptions) {
  testing::internal::CaptureStdout();
  const auto parsed = Parse(kCommand, {"--help"});
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("g_oss_STSFile"));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error(), kExitSuccess);
}

}  // namespace
}  // namespace shoal
