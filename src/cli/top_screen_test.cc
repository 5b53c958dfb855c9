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
                "origin_bytes": [9, 1048576],
                "passthrough_open_count": [3, 1], "passthrough_opened_bytes": [8388608, 4194304]},
    "errors": [{"last_unix_seconds": 9990, "count": 2, "reason": "get 'a': HTTP 403"}]})");
}

TEST(TopScreen, ShowsTheStateOfTheNode) {
  const Json tasks = Json::parse(R"([{"Path": "big", "TotalSize": 2048, "CompletedSize": 1024}])");
  const std::vector<std::string> expected = {
      "data.oss:/ on /mnt/data",
      "shoal 1.0, up 1:00, ready, whole files pass through the kernel",
      "",
      "read 4.0 MiB/s  hits 88%   memory 3.0 MiB/s  disk 0 B/s  origin 1.0 MiB/s",
      "memory [###########-----------]  50%  512.0 KiB of 1.0 MiB  3 objects",
      "disk   [----------------------]   0%  0 B of 0 B  0 objects  /mnt/cache/",
      "       NOT USED: Input/output error",
      "",
      "last minute",
      "4 files of 12.0 MiB handed to the kernel; what it reads nobody counts",
      "read            12  p50   256 us  p99        -  2 errors",
      "",
      "warm-ups",
      "[###########-----------]  50%  1.0 KiB of 2.0 KiB  big",
      "",
      "recent trouble",
      "0:10 ago, 2 times: get 'a': HTTP 403"};
  EXPECT_EQ(TopScreen(Status(), tasks, 200), expected);
}

TEST(TopScreen, SaysThatTheWorkerDied) {
  Json status = Status();
  status["workers_before"] = {
      {"death_count", 1}, {"last_death_unix_seconds", 9939}, {"replaced_count", 3}};
  EXPECT_EQ(TopScreen(status, {}, 80)[2], "WORKER DIED once, 1:01 ago");
  status["workers_before"]["death_count"] = 2;
  EXPECT_EQ(TopScreen(status, {}, 80)[2], "WORKER DIED 2 times, last 1:01 ago");
  status["workers_before"] = {
      {"death_count", 0}, {"last_death_unix_seconds", nullptr}, {"replaced_count", 3}};
  EXPECT_EQ(TopScreen(status, {}, 200), TopScreen(Status(), {}, 200));
}

TEST(TopScreen, ANarrowTerminalCutsPathsAndNotFigures) {
  Json status = Status();
  status["mount"]["passthrough"] = false;
  status["tiers"][0]["path"] = "/a/long/path/of/a/directory/of/the/cache/";
  status["ready"] = false;
  status["reason"] = "the store refuses";
  const Json tasks = Json::parse(
      R"([{"Path": "a/very/long/path/of/a/file.bin", "TotalSize": 2048, "CompletedSize": 1024}])");
  status["errors"][0]["reason"] = "GetObject '" + std::string(100, 'k') + "': HTTP 403";
  const std::vector<std::string> lines = TopScreen(status, tasks, 78);
  EXPECT_EQ(lines[2], "NOT READY: the store refuses");
  EXPECT_EQ(lines[5],
            "memory [###########-----------]  50%  512.0 KiB of 1.0 MiB  3 objects  /...he/");
  EXPECT_EQ(lines[13],
            "[###########-----------]  50%  1.0 KiB of 2.0 KiB  a/very/long/...f/a/file.bin");
  EXPECT_TRUE(lines.back().starts_with("0:10 ago, 2 times: GetObject 'kkk")) << lines.back();
  EXPECT_TRUE(lines.back().ends_with("kkk': HTTP 403")) << lines.back();
}

TEST(TopScreen, FitsTheTerminal) {
  for (const std::string& line : TopScreen(Status(), {}, 40)) EXPECT_LE(line.size(), 40U) << line;
}

TEST(TopScreen, EscapesWhatWouldMoveTheCursor) {
  Json status = Status();
  const std::string bad = "\x1b[2J";
  for (const char* name : {"version", "reason"}) status[name] = bad;
  status["ready"] = false;
  for (const char* name : {"source", "mount_point"}) status["mount"][name] = bad;
  for (Json& tier : status["tiers"])
    for (const char* name : {"kind", "path", "reason"}) tier[name] = bad;
  status["operations"][0]["name"] = bad;
  status["errors"][0]["reason"] = bad;
  std::vector<std::string> lines =
      TopScreen(status, Json::parse(R"([{"Path": "a\u001b[2J"}])"), 500);
  lines.push_back(TopLine(status));
  for (const std::string& line : lines) EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
}

TEST(TopScreen, LeavesOutWhatItWasNotTold) {
  EXPECT_EQ(TopScreen(Json::object(), {}, 80).size(), 7U);
}

TEST(TopLine, IsOneLine) {
  EXPECT_EQ(TopLine(Status()),
            "read 4.0 MiB/s  hits 88%   memory 3.0 MiB/s  disk 0 B/s  origin 1.0 MiB/s  1 file of "
            "4.0 MiB handed to the kernel  cached 512.0 KiB  ready");
}

}  // namespace
}  // namespace shoal
