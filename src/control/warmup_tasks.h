// Warm-up tasks: what is to be brought into the cache before it is asked for, and how far
// that is. Tasks and their history outlive the process.
//
// A task is one path below the mount's root, a file or a directory with all that is below it,
// perhaps filtered by a pattern. It is running until it is completed, canceled or failed, and
// then it stays in the history: the last 10,000, for seven days, or fewer if their paths and
// patterns are long.
//
// All methods are safe from any thread, and none waits for the store unless it says so.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace shoal {

struct WarmupTask {
  enum class Status : uint8_t { kRunning, kCompleted, kCanceled, kFailed };

  uint64_t id = 0;      // rises with each task
  std::string path;     // as submitted, without a slash at its end; "" is the root
  std::string pattern;  // "" for everything
  bool is_directory = false;
  Status status = Status::kRunning;
  // What is cached already counts as completed, and bytes do as they arrive. The total is known
  // once the listing is done, and 0 before.
  uint64_t completed_bytes = 0;
  uint64_t total_bytes = 0;
  uint64_t completed_object_count = 0;
  uint64_t total_object_count = 0;
  int64_t submitted_unix_micros = 0;
  int64_t ended_unix_micros = 0;  // 0 while running
  int error_code = 0;             // errno of a task that failed, else 0
  std::string error_message;      // for people, with the number of objects and an example
};

// "running", "completed", "canceled", "failed".
std::string_view StatusName(WarmupTask::Status status);

// How much of a path the cache has, with the versions that the store has now.
struct WarmCoverage {
  uint64_t total_bytes = 0;
  uint64_t cached_bytes = 0;
  uint64_t object_count = 0;
  uint64_t cached_object_count = 0;  // those that are whole
};

class WarmupTasks {
 public:
  virtual ~WarmupTasks() = default;

  // Tasks run from here on, also those that an earlier process had begun: they take threads by the
  // dozen, and serving needs its own first.
  virtual void Begin() {}

  // How many requests are made at once at the most, from now on.
  virtual void SetConnectionCountMax(size_t /*count_max*/) {}

  // Starts a task, which is on disk when this returns; or answers the running one that has
  // the same path and pattern. kInvalid: the path (absolute, "." or ".." in it, NUL, too
  // long) or the pattern (RE2's reason). kUnsupported: no cache is configured. kBusy: too
  // many tasks are running, or their paths and patterns are too long in sum; with the limit.
  virtual Result<WarmupTask> Load(std::string_view path, std::string_view pattern) = 0;

  // The same for each of many paths, with one wait for the disk; the answers are in the order
  // of the paths.
  virtual std::vector<Result<WarmupTask>> LoadAll(std::span<const std::string> paths,
                                                  std::string_view pattern) {
    std::vector<Result<WarmupTask>> tasks;
    for (const std::string& path : paths) tasks.push_back(Load(path, pattern));
    return tasks;
  }

  // The tasks of a path submitted since then, the newest first; with a pattern, only those
  // that have it.
  virtual std::vector<WarmupTask> Find(std::string_view path,
                                       std::optional<std::string_view> pattern,
                                       int64_t since_unix_micros) = 0;
  // The newest of all tasks, the newest first; running ones before the others.
  virtual std::vector<WarmupTask> Newest(size_t count_max) = 0;
  // Those that run, in all.
  virtual size_t RunningCount() = 0;

  // Cancels the running tasks of a path; with a pattern, only those that have it. Answers
  // what they then are. kNotFound: there never was such a task; kInvalid: there is, and its
  // last one has ended, which the detail says.
  virtual Result<std::vector<WarmupTask>> Cancel(std::string_view path,
                                                 std::optional<std::string_view> pattern) = 0;
  // The same for each of many paths, with one wait for the disk.
  virtual std::vector<Result<std::vector<WarmupTask>>> CancelAll(
      std::span<const std::string> paths, std::optional<std::string_view> pattern) {
    std::vector<Result<std::vector<WarmupTask>>> tasks;
    for (const std::string& path : paths) tasks.push_back(Cancel(path, pattern));
    return tasks;
  }

  // Waits for the store. kNotFound: nothing has the path.
  virtual Result<WarmCoverage> Examine(std::string_view path, Deadline deadline) = 0;
};

}  // namespace shoal
