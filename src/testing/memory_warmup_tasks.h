// Warm-up tasks that are only written down: a test says how far they are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "control/warmup_tasks.h"

namespace shoal {

// Thread-safe.
class MemoryWarmupTasks final : public WarmupTasks {
 public:
  explicit MemoryWarmupTasks(const Clock& clock) : clock_(clock) {}

  Result<WarmupTask> Load(std::string_view path, std::string_view pattern) override {
    const MutexLock lock(mutex_);
    if (!refusal_.detail.empty()) return tl::unexpected(refusal_);
    if (path.starts_with('/'))
      return Fail(Errc::kInvalid, "not a relative path: '" + std::string(path) + "'");
    WarmupTask task;
    task.id = tasks_.size() + 1;
    task.path = path;
    task.pattern = pattern;
    task.submitted_unix_micros = clock_.UnixSeconds() * 1'000'000;
    tasks_.push_back(task);
    return task;
  }

  std::vector<WarmupTask> Find(std::string_view path, std::optional<std::string_view> pattern,
                               int64_t since_unix_micros) override {
    const MutexLock lock(mutex_);
    std::vector<WarmupTask> found;
    for (auto task = tasks_.rbegin(); task != tasks_.rend(); ++task)
      if (task->path == path && (!pattern || task->pattern == *pattern) &&
          task->submitted_unix_micros >= since_unix_micros)
        found.push_back(*task);
    return found;
  }

  std::vector<WarmupTask> Newest(size_t count_max) override {
    const MutexLock lock(mutex_);
    std::vector<WarmupTask> newest(tasks_.rbegin(), tasks_.rend());
    std::stable_partition(newest.begin(), newest.end(), [](const auto& task) {
      return task.status == WarmupTask::Status::kRunning;
    });
    if (newest.size() > count_max) newest.resize(count_max);
    return newest;
  }

  size_t RunningCount() override {
    const MutexLock lock(mutex_);
    return static_cast<size_t>(
        std::ranges::count(tasks_, WarmupTask::Status::kRunning, &WarmupTask::status));
  }

  Result<std::vector<WarmupTask>> Cancel(std::string_view path,
                                         std::optional<std::string_view> pattern) override {
    const MutexLock lock(mutex_);
    std::vector<WarmupTask> canceled;
    bool is_known = false;
    for (WarmupTask& task : tasks_) {
      if (task.path != path || (pattern && task.pattern != *pattern)) continue;
      is_known = true;
      if (task.status != WarmupTask::Status::kRunning) continue;
      task.status = WarmupTask::Status::kCanceled;
      canceled.push_back(task);
    }
    if (!canceled.empty()) return canceled;
    if (is_known) return Fail(Errc::kInvalid, "the warm up has ended");
    return Fail(Errc::kNotFound, "there is no such warm up");
  }

  Result<WarmCoverage> Examine(std::string_view path, Deadline) override {
    const MutexLock lock(mutex_);
    const auto found = coverages_.find(path);
    if (found == coverages_.end())
      return Fail(Errc::kNotFound, "nothing has the path '" + std::string(path) + "'");
    return found->second;
  }

  void Add(WarmupTask task) {
    const MutexLock lock(mutex_);
    if (task.id == 0) task.id = tasks_.size() + 1;
    tasks_.push_back(std::move(task));
  }
  void Replace(std::vector<WarmupTask> tasks) {
    const MutexLock lock(mutex_);
    tasks_ = std::move(tasks);
  }
  void Change(uint64_t id, const std::function<void(WarmupTask&)>& change) {
    const MutexLock lock(mutex_);
    for (WarmupTask& task : tasks_)
      if (task.id == id) change(task);
  }
  // From now on Load answers this; an empty detail: as before.
  void RefuseWith(Error refusal) {
    const MutexLock lock(mutex_);
    refusal_ = std::move(refusal);
  }
  void SetCoverage(std::string path, WarmCoverage coverage) {
    const MutexLock lock(mutex_);
    coverages_[std::move(path)] = coverage;
  }

 private:
  const Clock& clock_;

  Mutex mutex_;
  std::vector<WarmupTask> tasks_ GUARDED_BY(mutex_);
  Error refusal_ GUARDED_BY(mutex_){};
  std::map<std::string, WarmCoverage, std::less<>> coverages_ GUARDED_BY(mutex_);
};

}  // namespace shoal
