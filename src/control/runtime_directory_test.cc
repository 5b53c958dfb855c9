#include "control/runtime_directory.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr std::string_view kMountPoint = "/mnt/oss data";
constexpr const char* kWithout =
    "/mnt/oss data has no admin port: shoal update MOUNTPOINT -o g_server_Port=17871 opens one";
constexpr const char* kClosed =
    "/mnt/oss data: the process with its admin port is gone, or could not open it; try again, or "
    "see the log and shoal doctor";

Error Why(std::string_view type, std::string_view state) {
  return WhyNoAdminPort(kMountPoint, type, state);
}

TEST(WhyNoAdminPort, AMountThatNobodyKeepsIsNotToldToGetAPort) {
  EXPECT_EQ(Why("fuse.shoal", ""),
            (Error{Errc::kNotFound,
                   "/mnt/oss data: nobody keeps this mount any more; unmount it and mount again"}));
  EXPECT_EQ(Why("fuse.sshfs", ""),
            (Error{Errc::kNotFound, "/mnt/oss data is not a mount of shoal"}));
  EXPECT_EQ(Why("", ""), (Error{Errc::kNotFound, "/mnt/oss data is not mounted"}));
  EXPECT_EQ(Why("", R"({"options": ["g_server_Port=1"]})"),
            (Error{Errc::kNotFound, "/mnt/oss data is not mounted"}));
}

TEST(WhyNoAdminPort, OfOptionsThatNameAPortOnesThatNameNoneAreToldApart) {
  for (const char* options : {R"([])", R"(["efc"])", R"(["g_server_Port=0"])",
                              R"(["g_server_Port=17871", "g_server_Port=0"])",
                              R"(["passwd_file=\"/a,g_server_Port=1\""])"})
    EXPECT_EQ(Why("fuse.alinas", std::string(R"({"options": )") + options + "}"),
              (Error{Errc::kNotFound, kWithout}))
        << options;
  for (const char* options :
       {R"(["g_server_Port=17871"])", R"(["efc,g_server_Port=0", "ro,g_server_Port=1"])"})
    EXPECT_EQ(Why("fuse.other", std::string(R"({"options": )") + options + "}"),
              (Error{Errc::kUnreachable, kClosed}))
        << options;
}

TEST(WhyNoAdminPort, AStateThatIsDamagedNamesNoPort) {
  for (const char* state :
       {"{", "[]", R"({"options": 1})", R"({"options": [1, "g_server_Port=x"]})"})
    EXPECT_EQ(Why("fuse.shoal", state), (Error{Errc::kNotFound, kWithout})) << state;
}

}  // namespace
}  // namespace shoal
