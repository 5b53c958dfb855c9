// The tasks there are and were, in memory: bookkeeping only, without clock, lock or disk. Not
// thread-safe; its owner guards it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/warmup_tasks.h"

namespace shoal {

class WarmupHistory {
 public:
  // Of those that ended.
  static constexpr size_t kEndedMax = 10'000;
  static constexpr int64_t kEndedMicrosMax = int64_t{7} * 24 * 3600 * 1'000'000;

  // `ended_text_bytes_max` of the paths and patterns of those that ended.
  explicit WarmupHistory(uint64_t ended_text_bytes_max)
      : ended_text_bytes_max_(ended_text_bytes_max) {}

  // A new task that runs. Ids rise, and are never less than `first_id`.
  uint64_t Begin(std::string path, std::string pattern, int64_t now_unix_micros);
  // One of an earlier process. Of two running ones that are the same, the older one is found.
  void Put(WarmupTask task);
  void SetFirstId(uint64_t first_id) { next_id_ = std::max(next_id_, first_id); }

  // Null: there is none. Valid until it is forgotten. Its id, path and pattern stay as they
  // are, and its status is changed by End alone.
  WarmupTask* Find(uint64_t id);
  WarmupTask* FindRunning(const std::string& path, const std::string& pattern);
  void End(WarmupTask& task, WarmupTask::Status status, int64_t now_unix_micros);

  // The newest first.
  [[nodiscard]] std::vector<uint64_t> OfPath(const std::string& path) const;
  [[nodiscard]] std::vector<uint64_t> Newest(size_t count_max) const;
  // The oldest first.
  [[nodiscard]] std::vector<uint64_t> All() const;
  [[nodiscard]] size_t running_count() const { return running_.size(); }
  // Of the paths and patterns of those that run.
  [[nodiscard]] uint64_t running_text_bytes() const { return running_text_bytes_; }

  // Those that are too many, or too old; which are no more.
  std::vector<uint64_t> Forget(int64_t now_unix_micros);

 private:
  const uint64_t ended_text_bytes_max_;
  std::map<uint64_t, WarmupTask> tasks_;
  std::map<std::string, std::set<uint64_t>, std::less<>> of_path_;
  std::map<std::pair<std::string, std::string>, uint64_t> running_;  // by path and pattern
  std::set<std::pair<int64_t, uint64_t>> ended_;                     // when, and which
  uint64_t next_id_ = 1;
  uint64_t running_text_bytes_ = 0;
  uint64_t ended_text_bytes_ = 0;
};

}  // namespace shoal
