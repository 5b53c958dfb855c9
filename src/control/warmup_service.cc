#include "control/warmup_service.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "control/warmup_gate.h"
#include "control/warmup_history.h"
#include "control/warmup_path.h"
#include "control/warmup_run.h"
#include "control/warmup_saver.h"
#include "control/warmup_store.h"
#include "fs/errno.h"

namespace shoal {
namespace {

using Status = WarmupTask::Status;

constexpr size_t kRunsMax = 64;
constexpr size_t kRunningMax = 100'000;  // those that wait for their turn included
constexpr int kNiceness = 10;            // readers come first
constexpr Duration kLoadWait = std::chrono::seconds(1);

void Take(const WarmupSums& progress, WarmupTask& task) {
  if (!progress.is_listed) return;
  task.is_directory = progress.is_directory;
  task.completed_bytes = progress.completed_bytes;
  task.total_bytes = progress.total_bytes;
  task.completed_object_count = progress.completed_object_count;
  task.total_object_count = progress.total_object_count;
}

class WarmupService final : public WarmupTasks {
 public:
  WarmupService(const WarmupOptions& options, ObjectStore& store, Tier* tier,
                const DemandGauge& demand, const Clock& clock, std::stop_token stop)
      : options_(options), store_(store), tier_(tier), clock_(clock), stop_(std::move(stop)) {
    if (tier != nullptr) PrepareToLoad(*tier, demand);
    saver_.emplace(options.state_file,
                   tier != nullptr ? WarmupStore::Missing::kMake : WarmupStore::Missing::kLeave,
                   WarmupSaver::Owner{.loaded = [this](auto tasks) { Resume(std::move(tasks)); },
                                      .take = [this] { return TakeChanged(); },
                                      .give_back = [this](const auto& batch) { GiveBack(batch); },
                                      .give_all = [this] { GiveAll(); }});
    if (saver_->AwaitLoaded(kLoadWait)) return;
    log::Warn("earlier warm-up tasks are not known yet: the disk of {} does not answer",
              options.state_file);
    const MutexLock lock(mutex_);
    BeginAfterThem();
  }

  void Begin() override {
    const MutexLock lock(mutex_);
    has_begun_ = true;
    StartRuns();
  }

  void SetConnectionCountMax(size_t count_max) override {
    if (tier_ == nullptr) return;
    means_->connection_count_max = count_max;
    loaders_->SetThreadCountMax(count_max);
    gate_->SetRequestCountMax(count_max);
  }

  ~WarmupService() override {
    std::vector<std::shared_ptr<WarmupRun>> runs;
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
      for (const auto& [id, run] : runs_) runs.push_back(run);
    }
    for (const auto& run : runs) run->Stop();
    runs.clear();
    runners_.reset();
    loaders_.reset();
    saver_.reset();
  }
  WarmupService(const WarmupService&) = delete;
  WarmupService& operator=(const WarmupService&) = delete;

  Result<WarmupTask> Load(std::string_view path, std::string_view pattern) override {
    const std::string one(path);
    return std::move(LoadAll(std::span(&one, 1), pattern).front());
  }

  std::vector<Result<WarmupTask>> LoadAll(std::span<const std::string> paths,
                                          std::string_view pattern) override {
    std::vector<Result<WarmupTask>> answers;
    answers.reserve(paths.size());
    const Result<WarmupFilter> filter = WarmupFilter::Compile(pattern);
    bool has_changed = false;
    {
      const MutexLock lock(mutex_);
      for (const std::string& path : paths)
        answers.push_back(filter ? Submit(path, std::string(pattern))
                                 : Result<WarmupTask>(tl::unexpected(filter.error())));
      StartRuns();
      has_changed = !changed_.empty();
    }
    if (has_changed) saver_->Flush();
    return answers;
  }

  std::vector<WarmupTask> Find(std::string_view path, std::optional<std::string_view> pattern,
                               int64_t since_unix_micros) override {
    std::vector<WarmupTask> found;
    const Result<std::string> normal = NormalizeWarmupPath(path);
    if (!normal) return found;
    const MutexLock lock(mutex_);
    for (const uint64_t id : history_.OfPath(*normal)) {
      const WarmupTask task = Now(id);
      if (task.submitted_unix_micros >= since_unix_micros && (!pattern || task.pattern == *pattern))
        found.push_back(task);
    }
    return found;
  }

  std::vector<WarmupTask> Newest(size_t count_max) override {
    std::vector<WarmupTask> newest;
    const MutexLock lock(mutex_);
    for (const uint64_t id : history_.Newest(count_max)) newest.push_back(Now(id));
    return newest;
  }

  size_t RunningCount() override {
    const MutexLock lock(mutex_);
    return history_.running_count();
  }

  Result<std::vector<WarmupTask>> Cancel(std::string_view path,
                                         std::optional<std::string_view> pattern) override {
    const std::string one(path);
    return std::move(CancelAll(std::span(&one, 1), pattern).front());
  }

  std::vector<Result<std::vector<WarmupTask>>> CancelAll(
      std::span<const std::string> paths, std::optional<std::string_view> pattern) override {
    std::vector<Result<std::vector<WarmupTask>>> answers;
    answers.reserve(paths.size());
    std::vector<std::shared_ptr<WarmupRun>> canceled;
    bool has_changed = false;
    {
      const MutexLock lock(mutex_);
      for (const std::string& path : paths) answers.push_back(CancelOne(path, pattern, canceled));
      ForgetOld();
      has_changed = !changed_.empty();
    }
    for (const auto& run : canceled) run->Stop();
    if (has_changed) saver_->Flush();
    return answers;
  }

  Result<WarmCoverage> Examine(std::string_view path, Deadline deadline) override {
    ASSIGN_OR_RETURN(const std::string normal, NormalizeWarmupPath(path));
    WarmupListing listing(store_, options_.mount_prefix, normal, WarmupFilter());
    WarmCoverage sum;
    while (true) {
      ASSIGN_OR_RETURN(const auto page, listing.Next(deadline));
      if (!page) return sum;
      for (const ObjectInfo& info : *page) {
        if (deadline.Passed(clock_))
          return Fail(Errc::kTimedOut, "there are more files than can be looked at in time");
        ++sum.object_count;
        sum.total_bytes += info.version.size_bytes;
        if (tier_ == nullptr) continue;
        const Tier::Coverage coverage = tier_->Cover(info.version, deadline);
        sum.cached_bytes += coverage.cached_bytes;
        sum.cached_object_count += coverage.whole ? 1 : 0;
      }
    }
  }

 private:
  void PrepareToLoad(Tier& tier, const DemandGauge& demand) {
    const auto connection_count_max = static_cast<size_t>(options_.connection_count_max);
    gate_.emplace(demand, connection_count_max, clock_);
    loaders_.emplace("warmup-load", connection_count_max, kNiceness);
    means_.reset(
        new WarmupMeans{.store = store_,
                        .tier = tier,
                        .loaders = *loaders_,
                        .gate = *gate_,
                        .clock = clock_,
                        .connection_count_max = connection_count_max,
                        .request_wait = std::chrono::seconds(options_.request_wait_seconds),
                        .retry_pause = std::chrono::milliseconds(options_.retry_pause_milliseconds),
                        .listed_room = static_cast<int64_t>(options_.listed_count_max)});
    runners_.emplace("warmup-task", kRunsMax, kNiceness);
  }

  Result<WarmupTask> Submit(const std::string& path, std::string pattern) REQUIRES(mutex_) {
    if (tier_ == nullptr)
      return Fail(Errc::kUnsupported,
                  "this mount has no cache to load into: that takes g_tier_EnableClusterCache, and "
                  "g_tier_DadiMemCacheCapacityMB or g_tier_DadiDiskCacheCapacityMB");
    ASSIGN_OR_RETURN(std::string normal, NormalizeWarmupPath(path));
    if (const WarmupTask* const running = history_.FindRunning(normal, pattern))
      return Now(running->id);
    if (history_.running_count() >= kRunningMax)
      return Fail(Errc::kBusy, std::to_string(kRunningMax) +
                                   " warm-up tasks are running, which is as many as there may be");
    if (history_.running_text_bytes() + normal.size() + pattern.size() > options_.text_bytes_max)
      return Fail(Errc::kBusy, "the paths and patterns of running warm-up tasks are " +
                                   std::to_string(options_.text_bytes_max / kKiB) +
                                   " KiB, which is as much as there may be");
    const uint64_t id = history_.Begin(std::move(normal), std::move(pattern), clock_.UnixMicros());
    waiting_.insert(id);
    changed_.insert(id);
    return Now(id);
  }

  Result<std::vector<WarmupTask>> CancelOne(const std::string& path,
                                            std::optional<std::string_view> pattern,
                                            std::vector<std::shared_ptr<WarmupRun>>& canceled)
      REQUIRES(mutex_) {
    ASSIGN_OR_RETURN(const std::string normal, NormalizeWarmupPath(path));
    std::vector<WarmupTask> tasks;
    std::optional<WarmupTask> last;
    for (const uint64_t id : history_.OfPath(normal)) {
      WarmupTask& task = *history_.Find(id);
      if (pattern && task.pattern != *pattern) continue;
      if (!last) last = task;
      if (task.status != Status::kRunning) continue;
      task = Now(id);
      history_.End(task, Status::kCanceled, clock_.UnixMicros());
      changed_.insert(id);
      waiting_.erase(id);
      if (const auto run = runs_.find(id); run != runs_.end()) canceled.push_back(run->second);
      tasks.push_back(task);
    }
    if (!last) return Fail(Errc::kNotFound, "there is no warm-up of '" + normal + "'");
    if (tasks.empty())
      return Fail(Errc::kInvalid, "the warm-up of '" + normal + "' is " +
                                      std::string(StatusName(last->status)) +
                                      ", and only a running one can be canceled");
    return tasks;
  }

  // As it is at this moment.
  WarmupTask Now(uint64_t id) REQUIRES(mutex_) {
    WarmupTask task = *history_.Find(id);
    const auto run = runs_.find(id);
    if (run != runs_.end() && task.status == Status::kRunning) Take(run->second->progress(), task);
    return task;
  }

  [[nodiscard]] bool stopping() const REQUIRES(mutex_) {
    return stopping_ || stop_.stop_requested();
  }

  void StartRuns() REQUIRES(mutex_) {
    if (tier_ == nullptr) return;  // those that an earlier process left wait for a cache
    while (has_begun_ && !stopping() && runs_.size() < kRunsMax && !waiting_.empty()) {
      const uint64_t id = *waiting_.begin();
      waiting_.erase(waiting_.begin());
      const WarmupTask& task = *history_.Find(id);
      Result<WarmupFilter> filter = WarmupFilter::Compile(task.pattern);
      if (!filter) {  // of an earlier process whose RE2 took it
        EndTask(id, tl::unexpected(filter.error()));
        continue;
      }
      const auto run = std::make_shared<WarmupRun>(
          *means_, WarmupListing(store_, options_.mount_prefix, task.path, *std::move(filter)),
          WarmupRun::Shown{task.completed_bytes, task.completed_object_count});
      runs_.emplace(id, run);
      runners_->Run([this, id, run] { RunOne(id, *run); });
    }
  }

  void RunOne(uint64_t id, WarmupRun& run) EXCLUDES(mutex_) {
    const Result<> outcome = run.Run();
    const MutexLock lock(mutex_);
    // One that was stopped only because this process ends goes on in the next.
    if (!stopping() && history_.Find(id) != nullptr &&
        history_.Find(id)->status == Status::kRunning) {
      Take(run.completed(), *history_.Find(id));
      EndTask(id, outcome);
    }
    runs_.erase(id);
    ForgetOld();
    StartRuns();
  }

  void EndTask(uint64_t id, const Result<>& outcome) REQUIRES(mutex_) {
    WarmupTask& task = *history_.Find(id);
    if (!outcome) {
      task.error_code = ToErrno(outcome.error().code);
      task.error_message = outcome.error().detail;
      // A wrong path is its user's business, who is told; there may be thousands.
      if (outcome.error().code != Errc::kNotFound)
        log::Warn("the warm-up of '{}' failed: {}", log::Printable(task.path), task.error_message);
    }
    history_.End(task, outcome ? Status::kCompleted : Status::kFailed, clock_.UnixMicros());
    changed_.insert(id);
    // What was seen to have ended should not run in the next process.
    saver_->Wake();
  }

  void Resume(Result<std::vector<WarmupTask>> tasks) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (!tasks) {
      log::Warn("earlier warm-up tasks are not known: {}", tasks.error().detail);
      return BeginAfterThem();
    }
    for (WarmupTask& task : *tasks) {
      if (history_.Find(task.id) != nullptr) continue;
      // Late: the same was asked for again meanwhile, and that covers it.
      if (task.status == Status::kRunning && history_.FindRunning(task.path, task.pattern)) {
        gone_.insert(task.id);
        continue;
      }
      if (task.status == Status::kRunning) waiting_.insert(task.id);
      history_.Put(std::move(task));
    }
    if (!waiting_.empty())
      log::Info("{} warm-up tasks {}", waiting_.size(),
                tier_ != nullptr ? "go on" : "wait until the mount has a cache again");
    StartRuns();
  }

  // So that none of ours replaces one of them, should the file come back.
  void BeginAfterThem() REQUIRES(mutex_) {
    history_.SetFirstId(static_cast<uint64_t>(clock_.UnixMicros()));
  }

  void ForgetOld() REQUIRES(mutex_) {
    for (const uint64_t id : history_.Forget(clock_.UnixMicros())) {
      changed_.erase(id);
      gone_.insert(id);
    }
  }

  WarmupSaver::Batch TakeChanged() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    ForgetOld();
    for (const auto& [id, run] : runs_) {
      WarmupTask* const task = history_.Find(id);
      if (task == nullptr || task->status != Status::kRunning) continue;
      const auto figures = [task] {
        return std::tuple(task->completed_bytes, task->total_bytes, task->completed_object_count,
                          task->total_object_count);
      };
      const auto before = figures();
      Take(run->progress(), *task);
      if (figures() != before) changed_.insert(id);
    }
    WarmupSaver::Batch batch;
    for (const uint64_t id : std::exchange(changed_, {})) batch.changed.push_back(Now(id));
    for (const uint64_t id : std::exchange(gone_, {})) batch.gone.push_back(id);
    return batch;
  }

  void GiveBack(const WarmupSaver::Batch& batch) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    for (const WarmupTask& task : batch.changed)
      if (history_.Find(task.id) != nullptr) changed_.insert(task.id);
    gone_.insert(batch.gone.begin(), batch.gone.end());
  }

  void GiveAll() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const std::vector<uint64_t> all = history_.All();
    changed_.insert(all.begin(), all.end());
  }

  const WarmupOptions options_;
  ObjectStore& store_;
  Tier* const tier_;  // null: no cache
  const Clock& clock_;
  const std::stop_token stop_;

  Mutex mutex_;
  bool has_begun_ GUARDED_BY(mutex_) = false;
  WarmupHistory history_ GUARDED_BY(mutex_){options_.text_bytes_max};
  std::set<uint64_t> waiting_ GUARDED_BY(mutex_);  // for their turn, in order
  // Canceled ones until they have ended.
  std::map<uint64_t, std::shared_ptr<WarmupRun>> runs_ GUARDED_BY(mutex_);
  std::set<uint64_t> changed_ GUARDED_BY(mutex_);  // since they were saved
  std::set<uint64_t> gone_ GUARDED_BY(mutex_);     // and are still in the file
  bool stopping_ GUARDED_BY(mutex_) = false;

  // Last: their work uses all of the above.
  std::optional<WarmupGate> gate_;
  std::unique_ptr<WarmupMeans> means_;
  std::optional<ThreadPool> loaders_;
  std::optional<ThreadPool> runners_;
  std::optional<WarmupSaver> saver_;
};

}  // namespace

Result<std::unique_ptr<WarmupTasks>> StartWarmup(const WarmupOptions& options, ObjectStore& store,
                                                 Tier* tier, const DemandGauge& demand,
                                                 const Clock& clock, std::stop_token stop) {
  if (options.connection_count_max < 1 || options.connection_count_max > 10'000)
    return Fail(Errc::kInvalid, "warmup_connections: not from 1 to 10000");
  return std::make_unique<WarmupService>(options, store, tier, demand, clock, std::move(stop));
}

}  // namespace shoal
