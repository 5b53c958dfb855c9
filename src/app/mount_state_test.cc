#include "app/mount_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "testing/temporary_directory.h"

namespace shoal {
namespace {

MountState Example() {
  return {.source = "data.oss.example:/a b",
          .subtype = "alinas",
          .mount_point = "/mnt/oss \"data\"",
          .options = {"efc,protocol=oss", "passwd_file=/etc/p,g_tier_DadiDiskCachePath=/c/"},
          .log_level = "debug",
          .sloppy = true,
          .foreground = true,
          .binary = "/usr/local/bin/shoal",
          .version = "1.2",
          .keeper_pid = 17,
          .worker_pid = 18,
          .warning = "nothing is there"};
}

TEST(MountState, WhatIsNotUtf8IsRefusedByName) {
  EXPECT_TRUE(CheckMountState(Example()));
  const auto refusal = [](auto&& spoil) {
    MountState state = Example();
    spoil(state);
    const auto checked = CheckMountState(state);
    return checked ? "" : checked.error().detail;
  };
  using ::testing::StartsWith;
  EXPECT_EQ(refusal([](auto& state) { state.mount_point = "/mnt/\u00e4"; }), "");
  EXPECT_THAT(refusal([](auto& state) { state.mount_point += '\xe4'; }),
              StartsWith("the mount point has bytes that are not UTF-8"));
  EXPECT_THAT(refusal([](auto& state) { state.source += '\xe4'; }), StartsWith("the source has"));
  EXPECT_THAT(refusal([](auto& state) { state.options[1] += '\xe4'; }),
              StartsWith("an option has"));
  EXPECT_THAT(refusal([](auto& state) { state.binary += '\xe4'; }),
              StartsWith("the path of this program has"));
}

TEST(MountState, MountPointsAreEscapedAsSystemdDoes) {
  EXPECT_EQ(EscapeMountPoint("/mnt/oss_data"), "mnt-oss_data");
  EXPECT_EQ(EscapeMountPoint("/mnt/oss-data/"), "mnt-oss\\x2ddata");
  EXPECT_EQ(EscapeMountPoint("/"), "-");
  EXPECT_EQ(EscapeMountPoint("/.a/.b"), "\\x2ea-.b");
  EXPECT_EQ(EscapeMountPoint("/ä b"), "\\xc3\\xa4\\x20b");
  EXPECT_EQ(StateDirectory("/mnt/x"), "/run/shoal/mnt-x");
}

TEST(MountState, ALongMountPointHasAShortNameOfItsOwn) {
  const std::string one = EscapeMountPoint("/" + std::string(300, 'a'));
  const std::string other = EscapeMountPoint("/" + std::string(300, 'b'));
  EXPECT_LT(one.size(), 255u);
  EXPECT_NE(one, other);
}

TEST(MountState, WhatIsWrittenIsReadBackAndIsTheOwnersAlone) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() / "state.json";
  ASSERT_TRUE(WriteMountState(path, Example()));
  const auto read = ReadMountState(path);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(*read, Example());
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(MountState, WhatIsNoStateIsRefused) {
  const std::string whole = ToJson(Example());
  for (size_t length = 0; length < whole.size() - 2; ++length)
    EXPECT_FALSE(ParseMountState(whole.substr(0, length))) << length;
  for (const char* text : {"[]", "{}", R"({"source": 1, "mount_point": "/m"})",
                           R"({"source": "s", "mount_point": "/m", "options": [1]})"})
    EXPECT_EQ(ParseMountState(text).error().code, Errc::kInvalid) << text;
  EXPECT_EQ(ReadMountState("/nonexistent/state").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace shoal
