// A node for looking at the live page: the real admin port, over a report and tasks that
// come as lines of JSON on stdin. Prints the port, then "ok" for each line; ends with stdin.
//
//   {"status": {...}, "tasks": [{"id": 1, "path": "a", ...}]}
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "control/admin_server.h"
#include "testing/memory_node_report.h"
#include "testing/memory_warmup_tasks.h"

namespace {

using Json = nlohmann::json;

shoal::WarmupTask TaskOf(const Json& json) {
  shoal::WarmupTask task;
  task.id = json.at("id");
  task.path = json.at("path");
  task.pattern = json.value("pattern", "");
  task.is_directory = json.value("is_directory", false);
  const std::string status = json.value("status", "running");
  for (const auto one : {shoal::WarmupTask::Status::kRunning, shoal::WarmupTask::Status::kCompleted,
                         shoal::WarmupTask::Status::kCanceled, shoal::WarmupTask::Status::kFailed})
    if (StatusName(one) == status) task.status = one;
  task.completed_bytes = json.value("completed_bytes", uint64_t{0});
  task.total_bytes = json.value("total_bytes", uint64_t{0});
  task.completed_object_count = json.value("completed_object_count", uint64_t{0});
  task.total_object_count = json.value("total_object_count", uint64_t{0});
  task.ended_unix_micros = json.value("ended_unix_micros", int64_t{0});
  task.error_message = json.value("error_message", "");
  return task;
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): what the test says wrongly ends it, as it should
int main(int argc, char** argv) {
  const shoal::SystemClock clock;
  shoal::MemoryWarmupTasks tasks(clock);
  shoal::MemoryNodeReport report;
  shoal::AdminOptions options;
  if (argc > 1) options.token_file = argv[1];
  auto server = shoal::AdminServer::Start(
      options, {.warmup = tasks,
                .report = report,
                .clear_directory_cache = [] {},
                .clear_metadata_cache = [] {},
                .describe_path = [](auto, auto) { return shoal::PathFacts{}; },
                .change_options = [](const auto&) { return shoal::Result<>(); },
                .clock = clock});
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().detail.c_str());
    return 1;
  }
  std::cout << (*server)->port() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const Json said = Json::parse(line);
    if (said.contains("status")) report.SetStatusJson(said["status"].dump());
    if (said.contains("tasks")) {
      std::vector<shoal::WarmupTask> all;
      for (const Json& task : said["tasks"]) all.push_back(TaskOf(task));
      tasks.Replace(std::move(all));
    }
    std::cout << "ok" << std::endl;
  }
}
