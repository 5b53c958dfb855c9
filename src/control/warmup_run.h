// One warm-up task while it runs: what it covers is listed, and then brought into the tier.
//
// First a survey says what there is in all, and whether it fits. Then it is loaded. Small files are
// loaded while the survey lists, into room that nothing has. An object is completed when every page
// of it is written with its checksum. One that fails is tried again, a bounded number of times;
// when the others are done the task fails with what was wrong. An object that has changed since it
// was listed is brought as it is now, and one that is gone was never part of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "cache/delivery.h"
#include "control/spare_room.h"
#include "control/warmup_listing.h"
#include "control/warmup_means.h"
#include "control/warmup_survey.h"
#include "origin/object_store.h"

namespace shoal {

struct WarmupSums {
  bool is_directory = false;
  bool is_listed = false;  // the totals are known
  uint64_t completed_bytes = 0;
  uint64_t total_bytes = 0;
  uint64_t completed_object_count = 0;
  uint64_t total_object_count = 0;
};

class WarmupRun : public std::enable_shared_from_this<WarmupRun> {
 public:
  // What it was said to have completed, also by an earlier process.
  struct Shown {
    uint64_t completed_bytes = 0;
    uint64_t completed_object_count = 0;
  };

  // Made by std::make_shared.
  WarmupRun(WarmupMeans& means, WarmupListing listing, Shown shown);
  WarmupRun(const WarmupRun&) = delete;
  WarmupRun& operator=(const WarmupRun&) = delete;

  // Runs to the end, once. kInterrupted: it was stopped. kNoSpace: it does not fit, or did not
  // stay; kNotFound: nothing has the path; others are those of listing, or of an object that
  // failed, of which the detail has the number and an example.
  Result<> Run();

  // From any thread: it ends with the requests under way, whose bytes nobody waits for.
  void Stop();
  // Bytes count as completed as they come. What counts does not fall: what has to be fetched, or
  // found in the cache, once more stays counted.
  [[nodiscard]] WarmupSums progress() const;
  // Of what is completed and nothing else, for when it has run.
  [[nodiscard]] WarmupSums completed() const;

 private:
  using Listed = WarmupSurvey::Listed;
  struct Object;
  class Watcher;
  struct Job {
    std::shared_ptr<Object> object;
    ByteRange range;
  };

  Result<> SurveyAndLoad();
  // Small files of those listed so far, as many as can be had without waiting for the store.
  void LoadMeanwhile(SpareRoom& spare);
  Result<> LoadAll();
  [[nodiscard]] bool IsWhole(const ObjectInfo& info) const;
  // An object is admitted, its ranges are loaded, and then it is settled: it arrived, is tried
  // again later, has failed or is gone.
  void Admit(const ObjectInfo& info, Listed* listed, bool is_whole);
  void Bring(const std::shared_ptr<Object>& object);
  void Submit(const std::shared_ptr<Object>& object, ByteRange range) EXCLUDES(mutex_);
  void DropJobs() REQUIRES(mutex_);  // those that no loader has
  // Until no more are given to the loaders.
  void WaitForJobs(size_t count_max) REQUIRES(mutex_);
  // A loader does one job after the other, without anybody being woken between them.
  size_t LoadersToStart(size_t width) REQUIRES(mutex_);
  void StartLoaders(size_t count);
  void LoadInARow();
  void OnLoaded(Object& object) EXCLUDES(mutex_);
  void Load(Object& object, ByteRange range);
  void SettleReady();
  // Waits until no more than so many are left.
  void SettleUntil(size_t unsettled_count_max);
  void Settle(const std::shared_ptr<Object>& object, Delivery::Arrival arrival);
  void OnArrived(Object& object);
  void OnChanged(const std::shared_ptr<Object>& object);
  // The object becomes what the store says of its key now. The errors are Head's.
  Result<> AskAnew(Object& object);
  void OnAskedInVain(const std::shared_ptr<Object>& object, const Error& error);
  void OnGone(Object& object);
  void OnFailed(const std::shared_ptr<Object>& object, const Error& error);
  void CountFailed(Object& object, const Error& error);
  // Of an object that is not completed: what came of it counts no more.
  void TakeBack(Object& object) EXCLUDES(mutex_);
  void TryAgain();
  // Others may have displaced what arrived: such objects are tried again, or have failed.
  void LookWhetherAllStayed(bool try_again);
  Result<> Verdict();

  [[nodiscard]] Deadline RequestDeadline() const;
  [[nodiscard]] bool stopped() const { return stopped_; }

  WarmupMeans& means_;
  std::atomic<bool> stopped_ = false;
  std::atomic<uint64_t> coming_bytes_ = 0;  // those that came of objects that are not completed

  // Of the thread that runs.
  WarmupSurvey survey_;
  size_t looked_at_count_ = 0;                     // of what it lists, while it does
  std::deque<std::shared_ptr<Object>> unsettled_;  // in the order in which they were admitted
  std::vector<std::shared_ptr<Object>> again_;
  uint64_t seen_bytes_ = 0;  // of what was admitted: the totals in the end
  uint64_t seen_count_ = 0;
  uint64_t failed_count_ = 0;
  std::optional<Error> example_;  // of what failed

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ GUARDED_BY(mutex_);     // for the loaders
  size_t job_count_ GUARDED_BY(mutex_) = 0;     // these, and those that loaders are at
  size_t loader_count_ GUARDED_BY(mutex_) = 0;  // in the pool, or in its queue
  // What the thread that runs waits for: so few jobs, or all of one object.
  static constexpr int64_t kNoWake = -1;
  int64_t wake_at_job_count_ GUARDED_BY(mutex_) = kNoWake;
  const Object* awaited_ GUARDED_BY(mutex_) = nullptr;
  WarmupSums progress_ GUARDED_BY(mutex_);  // with completed objects only
  mutable Shown shown_ GUARDED_BY(mutex_);
};

}  // namespace shoal
