#include "control/warmup_history.h"

#include <algorithm>

namespace shoal {
namespace {

uint64_t TextBytes(const WarmupTask& task) {
  return task.path.size() + task.pattern.size();
}

}  // namespace

std::string_view StatusName(WarmupTask::Status status) {
  switch (status) {
    case WarmupTask::Status::kRunning:
      return "running";
    case WarmupTask::Status::kCompleted:
      return "completed";
    case WarmupTask::Status::kCanceled:
      return "canceled";
    case WarmupTask::Status::kFailed:
      return "failed";
  }
  return "failed";
}

uint64_t WarmupHistory::Begin(std::string path, std::string pattern, int64_t now_unix_micros) {
  WarmupTask task;
  task.id = next_id_;
  task.is_directory = path.empty();
  task.path = std::move(path);
  task.pattern = std::move(pattern);
  task.submitted_unix_micros = now_unix_micros;
  Put(std::move(task));
  return next_id_ - 1;
}

void WarmupHistory::Put(WarmupTask task) {
  const uint64_t id = task.id;
  next_id_ = std::max(next_id_, id + 1);
  of_path_[task.path].insert(id);
  if (task.status == WarmupTask::Status::kRunning) {
    running_.try_emplace({task.path, task.pattern}, id);
    running_text_bytes_ += TextBytes(task);
  } else {
    ended_text_bytes_ += TextBytes(task);
    ended_.insert({task.ended_unix_micros, id});
  }
  tasks_.insert_or_assign(id, std::move(task));
}

WarmupTask* WarmupHistory::Find(uint64_t id) {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : &found->second;
}

WarmupTask* WarmupHistory::FindRunning(const std::string& path, const std::string& pattern) {
  const auto found = running_.find({path, pattern});
  return found == running_.end() ? nullptr : Find(found->second);
}

void WarmupHistory::End(WarmupTask& task, WarmupTask::Status status, int64_t now_unix_micros) {
  task.status = status;
  task.ended_unix_micros = now_unix_micros;
  ended_.insert({now_unix_micros, task.id});
  running_text_bytes_ -= TextBytes(task);
  ended_text_bytes_ += TextBytes(task);
  const auto running = running_.find({task.path, task.pattern});
  if (running != running_.end() && running->second == task.id) running_.erase(running);
}

std::vector<uint64_t> WarmupHistory::OfPath(const std::string& path) const {
  const auto found = of_path_.find(path);
  if (found == of_path_.end()) return {};
  return {found->second.rbegin(), found->second.rend()};
}

std::vector<uint64_t> WarmupHistory::Newest(size_t count_max) const {
  std::vector<uint64_t> newest;
  for (const bool running : {true, false})
    for (auto at = tasks_.rbegin(); at != tasks_.rend() && newest.size() < count_max; ++at)
      if ((at->second.status == WarmupTask::Status::kRunning) == running)
        newest.push_back(at->first);
  return newest;
}

std::vector<uint64_t> WarmupHistory::All() const {
  std::vector<uint64_t> all;
  all.reserve(tasks_.size());
  for (const auto& [id, task] : tasks_) all.push_back(id);
  return all;
}

std::vector<uint64_t> WarmupHistory::Forget(int64_t now_unix_micros) {
  std::vector<uint64_t> forgotten;
  while (!ended_.empty() &&
         (ended_.size() > kEndedMax || ended_text_bytes_ > ended_text_bytes_max_ ||
          ended_.begin()->first < now_unix_micros - kEndedMicrosMax)) {
    const uint64_t id = ended_.begin()->second;
    ended_.erase(ended_.begin());
    const auto task = tasks_.find(id);
    const auto of_path = of_path_.find(task->second.path);
    ended_text_bytes_ -= TextBytes(task->second);
    of_path->second.erase(id);
    if (of_path->second.empty()) of_path_.erase(of_path);
    tasks_.erase(task);
    forgotten.push_back(id);
  }
  return forgotten;
}

}  // namespace shoal
