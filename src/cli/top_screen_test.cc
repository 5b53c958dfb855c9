#include "cli/top_screen.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

Json Status() {
  return Json::parse(R"({
    "version": "1.0", "now_unix_seconds": 10000, "started_unix_seconds": 9940, "ready": true,
    "reason": "",
    "mount": {"source": "data.oss:/", "mount_point": "/mnt/data", "passthrough": true},
    "tiers": [
      {"kind": "memory", "path": "", "capacity_bytes": 1048576, "used_bytes": 524288,
       "object_count": 3, "working": true, "reason": ""},
      {"kind": "disk", "path": "/mnt/cache/", "capacity_bytes": 0, "used_bytes": 0,
       "object_count": 0, "working": false, "reason": "Input/output error"}],
    "operations": [{"name": "read", "side": "mount", "count": 12, "error_count": 2,
                    "p50_us": 256, "p99_us": null}],
    "history": {"memory_bytes": [0, 3145728], "disk_bytes": [0, 0], "peer_bytes": [0, 0],
                "origin_bytes": [9, 1048576]},
    "errors": [{"last_unix_seconds": 9990, "count": 2, "reason": "get 'a': HTTP 403"}]})");
}

TEST(TopScreen, ShowsTheStateOfTheNode) {
  const Json tasks = Json::parse(R"([{"Path": "big", "TotalSize": 2048, "CompletedSize": 1024}])");
  const std::vector<std::string> expected = {
      "data.oss:/ on /mnt/data",
      "shoal 1.0, up 1:00, ready, whole files pass through the kernel",
      "",
      "read 4.0 MiB/s  hits 75%   memory 3.0 MiB/s  disk 0 B/s  origin 1.0 MiB/s",
      "memory [###########-----------]  50%  512.0 KiB of 1.0 MiB  3 objects",
      "disk   [----------------------]   0%  0 B of 0 B  0 objects  /mnt/cache/  NOT USED: "
      "Input/output error",
      "",
      "last minute",
      "read            12  p50   256 us  p99        -  2 errors",
      "",
      "warm-ups",
      "[###########-----------]  50%  1.0 KiB of 2.0 KiB  big",
      "",
      "recent trouble",
      "0:10 ago, 2 times: get 'a': HTTP 403"};
  EXPECT_EQ(TopScreen(Status(), tasks, 200), expected);
}

TEST(TopScreen, FitsTheTerminal) {
  for (const std::string& line : TopScreen(Status(), {}, 40)) EXPECT_LE(line.size(), 40U) << line;
}

TEST(TopScreen, LeavesOutWhatItWasNotTold) {
  EXPECT_EQ(TopScreen(Json::object(), {}, 80).size(), 6U);
}

TEST(TopLine, IsOneLine) {
  EXPECT_EQ(TopLine(Status()),
            "read 4.0 MiB/s  hits 75%   memory 3.0 MiB/s  disk 0 B/s  origin 1.0 MiB/s  cached "
            "512.0 KiB  ready");
}

}  // namespace
}  // namespace shoal
