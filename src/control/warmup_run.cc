#include "control/warmup_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"

namespace shoal {
namespace {

// One request. Small enough that demand, when it begins, has the link back soon.
constexpr uint64_t kRangeBytes = 4 * kMiB;
// Requests that a thread makes before another task of those that wait may have it.
constexpr size_t kJobsInARow = 32;
// So many jobs for each request that may be under way.
constexpr size_t kAheadFactor = 2;
// Objects whose bytes came and may still be on their way to the disk; each has files open.
constexpr size_t kUnsettledMax = 512;
// Attempts that brought nothing; and those in all.
constexpr int kVainAttemptsMax = 3;
constexpr int kAttemptsMax = 50;
// Objects that wait for another attempt; of more the failure is final.
constexpr size_t kAgainMax = 10'000;
// How long a look at the disk may take; what is not known by then is brought, and found here.
constexpr Duration kLookWait = std::chrono::seconds(10);
// A disk that does not write for so long keeps nothing.
constexpr Duration kSettleWait = std::chrono::seconds(60);
constexpr Duration kStopLooksEvery = std::chrono::milliseconds(100);

bool MayHelp(Errc code) {
  return code == Errc::kBusy || code == Errc::kUnreachable || code == Errc::kTimedOut ||
         code == Errc::kCorrupt;
}

}  // namespace

struct WarmupRun::Object {
  ObjectInfo info;
  Listed* listed = nullptr;    // null: it is not in listed_
  int attempt_count = 0;       // those that failed
  int vain_attempt_count = 0;  // of these the last ones, if they brought nothing
  std::shared_ptr<Delivery> delivery{};
  uint64_t cached_bytes_before = 0;

  // Guarded by the run's mutex.
  size_t job_count = 0;
  uint64_t came_bytes = 0;  // in coming_bytes_, of ranges that are done with
  std::optional<Error> error{};

  [[nodiscard]] uint64_t size_bytes() const { return info.version.size_bytes; }
};

// Nobody reads the bytes. Used by one thread.
class WarmupRun::Watcher final : public Delivery::Watcher {
 public:
  explicit Watcher(WarmupRun& run) : run_(run) {}
  bool Append(std::span<const std::byte> bytes) override {
    if (!bytes.empty()) OnFound(bytes.size());
    return !run_.stopped();
  }
  void OnFound(uint64_t bytes) override {
    came_bytes_ += bytes;
    run_.coming_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  [[nodiscard]] uint64_t came_bytes() const { return came_bytes_; }

 private:
  WarmupRun& run_;
  uint64_t came_bytes_ = 0;
};

WarmupRun::WarmupRun(WarmupMeans& means, WarmupListing listing, Shown shown)
    : means_(means),
      survey_(means, std::move(listing), [this] { return stopped(); }),
      shown_(shown) {}

void WarmupRun::Stop() {
  stopped_ = true;
  means_.gate.WakeAll();
  const MutexLock lock(mutex_);
  changed_.NotifyAll();
}

WarmupSums WarmupRun::progress() const {
  const MutexLock lock(mutex_);
  if (!progress_.is_listed) return {};
  WarmupSums sums = progress_;
  // What the total lost meanwhile was not to be completed.
  const auto show = [](uint64_t& shown, uint64_t completed, uint64_t total) {
    return shown = std::min(std::max(shown, completed), total);
  };
  sums.completed_bytes =
      show(shown_.completed_bytes, sums.completed_bytes + coming_bytes_, sums.total_bytes);
  sums.completed_object_count =
      show(shown_.completed_object_count, sums.completed_object_count, sums.total_object_count);
  return sums;
}

WarmupSums WarmupRun::completed() const {
  const MutexLock lock(mutex_);
  return progress_.is_listed ? progress_ : WarmupSums{};
}

Deadline WarmupRun::RequestDeadline() const {
  return Deadline::After(means_.clock, means_.request_wait);
}

Result<> WarmupRun::Run() {
  Result<> ran = SurveyAndLoad();
  {
    // The requests under way use this object.
    const MutexLock lock(mutex_);
    if (!ran) DropJobs();
    // Also when it was stopped.
    wake_at_job_count_ = 0;
    while (job_count_ > 0) changed_.Wait(mutex_);
  }
  SettleUntil(0);  // what was loaded before it was known that not all can be
  unsettled_.clear();
  if (stopped()) return Fail(Errc::kInterrupted, "it was stopped");
  if (ran) return Verdict();
  if (ran.error().code == Errc::kNoSpace) {
    const uint64_t count = completed().completed_object_count;
    ran.error().detail += count == 0 ? "; nothing was loaded"
                                     : fmt::format("; {} of the files are in the cache", count);
  }
  return ran;
}

void WarmupRun::DropJobs() {
  for (const Job& job : jobs_) --job.object->job_count;
  job_count_ -= jobs_.size();
  jobs_.clear();
}

Result<> WarmupRun::SurveyAndLoad() {
  {
    // Of one task at a time: what two take together could be more than there is.
    const bool is_only_one = !means_.spare_room_is_taken.exchange(true);
    std::optional<SpareRoom> spare;
    if (is_only_one) spare.emplace(means_.tier, Deadline::After(means_.clock, kLookWait));
    const Result<> surveyed = survey_.Run([&] {
      if (spare) LoadMeanwhile(*spare);
    });
    if (is_only_one) means_.spare_room_is_taken = false;
    RETURN_IF_ERROR(surveyed);
  }
  {
    const MutexLock lock(mutex_);
    progress_.is_listed = true;
    progress_.is_directory = survey_.is_directory();
    // To what changed of those that are loaded already.
    progress_.total_bytes += survey_.total_bytes();
    progress_.total_object_count += survey_.total_object_count();
  }
  RETURN_IF_ERROR(survey_.CheckRoom());
  return LoadAll();
}

void WarmupRun::LoadMeanwhile(SpareRoom& spare) {
  auto& listed = survey_.listed();
  for (; looked_at_count_ < listed.size() && !stopped(); ++looked_at_count_) {
    Listed& next = listed[looked_at_count_];
    const bool is_small = next.info.storage_class == StorageClass::kReadable &&
                          next.info.version.size_bytes <= kRangeBytes;
    if (!is_small) continue;  // its turn comes when all is listed
    SettleReady();
    if (unsettled_.size() >= kUnsettledMax) return;
    {
      const MutexLock lock(mutex_);
      if (job_count_ >= kAheadFactor * means_.connection_count_max) return;
    }
    const bool is_whole = IsWhole(next.info);
    if (!is_whole && !spare.Take(next.info.version)) return;
    Admit(next.info, &next, is_whole);
  }
}

Result<> WarmupRun::LoadAll() {
  for (Listed& listed : survey_.listed()) {
    if (stopped()) return {};
    if (!listed.admitted) Admit(listed.info, &listed, IsWhole(listed.info));
  }
  if (std::optional<WarmupListing> listing = survey_.beyond()) {
    while (true) {
      ASSIGN_OR_RETURN(const auto page, survey_.NextPage(*listing));
      if (!page) break;
      for (const ObjectInfo& info : *page) {
        if (stopped()) return {};
        Admit(info, nullptr, IsWhole(info));
      }
    }
  }
  TryAgain();
  LookWhetherAllStayed(true);
  TryAgain();
  LookWhetherAllStayed(false);
  return {};
}

bool WarmupRun::IsWhole(const ObjectInfo& info) const {
  return info.storage_class != StorageClass::kLink &&
         means_.tier.Cover(info.version, Deadline::After(means_.clock, kLookWait)).whole;
}

void WarmupRun::Admit(const ObjectInfo& info, Listed* listed, bool is_whole) {
  const auto object = std::make_shared<Object>();
  object->info = info;
  object->listed = listed;
  if (listed != nullptr) listed->admitted = true;
  ++seen_count_;
  seen_bytes_ += object->size_bytes();
  if (is_whole) {
    OnArrived(*object);
  } else {
    Bring(object);
  }
}

void WarmupRun::Bring(const std::shared_ptr<Object>& object) {
  if (object->info.storage_class != StorageClass::kReadable) {
    // A listing of S3 does not say what was restored, and no listing what a link leads to.
    if (const Result<> asked = AskAnew(*object); !asked)
      return OnAskedInVain(object, asked.error());
    if (object->info.storage_class != StorageClass::kReadable)
      return CountFailed(*object, {Errc::kArchived, "it is archived, and must be restored first"});
  }
  TakeBack(*object);
  const ObjectVersion& version = object->info.version;
  const auto look_until = [this] { return Deadline::After(means_.clock, kLookWait); };
  object->cached_bytes_before = means_.tier.Cover(version, look_until()).cached_bytes;
  object->delivery = means_.tier.Deliver(version);
  for (uint64_t offset = 0; offset < version.size_bytes && !stopped(); offset += kRangeBytes) {
    const ByteRange range{offset, std::min(kRangeBytes, version.size_bytes - offset)};
    const bool is_here =
        object->cached_bytes_before > 0 && object->delivery->Has(range, look_until());
    SettleReady();
    {
      const MutexLock lock(mutex_);
      if (object->error) break;
      if (is_here) {
        object->came_bytes += range.length;
        coming_bytes_ += range.length;
        continue;
      }
      // Woken for many at once, rather than for each.
      const size_t width = means_.connection_count_max;
      if (job_count_ >= kAheadFactor * width) WaitForJobs(width + width / 2);
    }
    Submit(object, range);
  }
  unsettled_.push_back(object);
  SettleReady();
  SettleUntil(kUnsettledMax);
}

void WarmupRun::Submit(const std::shared_ptr<Object>& object, ByteRange range) {
  const size_t width = means_.gate.width();
  size_t loaders_to_start = 0;
  {
    const MutexLock lock(mutex_);
    jobs_.push_back({object, range});
    ++job_count_;
    ++object->job_count;
    loaders_to_start = LoadersToStart(width);
  }
  StartLoaders(loaders_to_start);
}

// They are counted as if they had begun.
size_t WarmupRun::LoadersToStart(size_t width) {
  const size_t wanted = std::min(width, job_count_);
  const size_t more = wanted > loader_count_ ? wanted - loader_count_ : 0;
  loader_count_ += more;
  return more;
}

void WarmupRun::StartLoaders(size_t count) {
  for (; count > 0; --count)
    means_.loaders.Run([self = shared_from_this()] { self->LoadInARow(); });
}

void WarmupRun::LoadInARow() {
  for (size_t done = 0; done < kJobsInARow; ++done) {
    Job job;
    {
      const MutexLock lock(mutex_);
      if (jobs_.empty()) break;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    Load(*job.object, job.range);
    OnLoaded(*job.object);
  }
  // Other tasks have their turn before it goes on.
  const size_t width = means_.gate.width();
  size_t loaders_to_start = 0;
  {
    const MutexLock lock(mutex_);
    --loader_count_;
    if (!jobs_.empty()) loaders_to_start = LoadersToStart(width);
  }
  StartLoaders(loaders_to_start);
}

void WarmupRun::OnLoaded(Object& object) {
  const size_t width = means_.gate.width();  // more may be worth it by now
  size_t loaders_to_start = 0;
  {
    const MutexLock lock(mutex_);
    --job_count_;
    if ((--object.job_count == 0 && awaited_ == &object) ||
        static_cast<int64_t>(job_count_) <= wake_at_job_count_)
      changed_.NotifyAll();
    if (!jobs_.empty()) loaders_to_start = LoadersToStart(width);
  }
  StartLoaders(loaders_to_start);
}

void WarmupRun::WaitForJobs(size_t count_max) {
  wake_at_job_count_ = static_cast<int64_t>(count_max);
  while (job_count_ > count_max && !stopped()) changed_.Wait(mutex_);
  wake_at_job_count_ = kNoWake;
}

void WarmupRun::Load(Object& object, ByteRange range) {
  const WarmupGate::Pass pass = means_.gate.Enter(range.length, [this] { return stopped(); });
  if (stopped()) return;
  Watcher watcher(*this);
  const Result<> brought = object.delivery->Bring(range, watcher, RequestDeadline());
  const MutexLock lock(mutex_);
  object.came_bytes += watcher.came_bytes();
  if (!brought) object.error = brought.error();
}

void WarmupRun::SettleReady() {
  while (!unsettled_.empty()) {
    const std::shared_ptr<Object> object = unsettled_.front();
    {
      const MutexLock lock(mutex_);
      if (object->job_count > 0) return;
    }
    const Delivery::Arrival arrival = object->delivery->Arrive(Deadline{Instant{}});
    if (arrival == Delivery::Arrival::kPending) return;
    unsettled_.pop_front();
    Settle(object, arrival);
  }
}

void WarmupRun::SettleUntil(size_t unsettled_count_max) {
  while (unsettled_.size() > unsettled_count_max && !stopped()) {
    const std::shared_ptr<Object> object = unsettled_.front();
    {
      const MutexLock lock(mutex_);
      awaited_ = object.get();
      while (object->job_count > 0 && !stopped()) changed_.Wait(mutex_);
      awaited_ = nullptr;
    }
    const Deadline give_up = Deadline::After(means_.clock, kSettleWait);
    auto arrival = Delivery::Arrival::kPending;
    while (arrival == Delivery::Arrival::kPending && !stopped() && !give_up.Passed(means_.clock))
      arrival = object->delivery->Arrive(Deadline::After(means_.clock, kStopLooksEvery));
    if (stopped()) return;
    unsettled_.pop_front();
    Settle(object, arrival);
  }
}

void WarmupRun::Settle(const std::shared_ptr<Object>& object, Delivery::Arrival arrival) {
  object->delivery.reset();
  std::optional<Error> error;
  {
    const MutexLock lock(mutex_);
    error = std::exchange(object->error, std::nullopt);
  }
  if (arrival == Delivery::Arrival::kWhole) return OnArrived(*object);
  if (error && error->code == Errc::kChanged) return OnChanged(object);
  if (error && error->code == Errc::kNotFound) return OnGone(*object);
  OnFailed(object, error.value_or(Error{
                       Errc::kUnreachable,
                       "the cache did not keep all of it: its disk is full, slow or failing"}));
}

void WarmupRun::OnArrived(Object& object) {
  if (object.listed != nullptr)
    *object.listed = {.info = object.info, .admitted = true, .arrived = true};
  const MutexLock lock(mutex_);
  // As a whole instead, at the same moment.
  coming_bytes_ -= std::exchange(object.came_bytes, 0);
  progress_.completed_bytes += object.size_bytes();
  ++progress_.completed_object_count;
}

// The next attempt is for the version there is now.
void WarmupRun::OnChanged(const std::shared_ptr<Object>& object) {
  if (const Result<> asked = AskAnew(*object); !asked) return OnAskedInVain(object, asked.error());
  OnFailed(object, {Errc::kBusy, "it changed again and again while it was loaded"});
}

Result<> WarmupRun::AskAnew(Object& object) {
  const WarmupGate::Pass pass = means_.gate.Enter(0, [this] { return stopped(); });
  if (stopped()) return Fail(Errc::kInterrupted, "it was stopped");
  ASSIGN_OR_RETURN(ObjectInfo now, means_.store.Head(object.info.version.key, RequestDeadline()));
  const uint64_t more_bytes = now.version.size_bytes - object.size_bytes();  // modulo 2^64
  seen_bytes_ += more_bytes;
  {
    const MutexLock lock(mutex_);
    progress_.total_bytes += more_bytes;
  }
  object.info = std::move(now);
  return {};
}

void WarmupRun::OnAskedInVain(const std::shared_ptr<Object>& object, const Error& error) {
  if (error.code == Errc::kNotFound) return OnGone(*object);
  OnFailed(object, error);
}

void WarmupRun::TakeBack(Object& object) {
  const MutexLock lock(mutex_);
  coming_bytes_ -= std::exchange(object.came_bytes, 0);
}

void WarmupRun::OnGone(Object& object) {
  TakeBack(object);
  --seen_count_;
  seen_bytes_ -= object.size_bytes();
  const MutexLock lock(mutex_);
  --progress_.total_object_count;
  progress_.total_bytes -= object.size_bytes();
}

void WarmupRun::OnFailed(const std::shared_ptr<Object>& object, const Error& error) {
  const uint64_t cached_bytes =
      means_.tier.Cover(object->info.version, Deadline::After(means_.clock, kLookWait))
          .cached_bytes;
  object->vain_attempt_count =
      cached_bytes > object->cached_bytes_before ? 0 : object->vain_attempt_count + 1;
  if (MayHelp(error.code) && object->vain_attempt_count < kVainAttemptsMax &&
      ++object->attempt_count < kAttemptsMax && again_.size() < kAgainMax) {
    again_.push_back(object);
  } else {
    CountFailed(*object, error);
  }
}

void WarmupRun::CountFailed(Object& object, const Error& error) {
  TakeBack(object);
  ++failed_count_;
  if (!example_)
    example_ =
        Error{error.code, "'" + log::Printable(object.info.version.key) + "': " + error.detail};
}

void WarmupRun::TryAgain() {
  SettleUntil(0);
  while (!again_.empty() && !stopped()) {
    {
      const MutexLock lock(mutex_);
      const auto until = CondVar::In(means_.retry_pause);
      while (!stopped() && changed_.WaitUntil(mutex_, until)) continue;
    }
    for (const auto& object : std::exchange(again_, {})) {
      if (stopped()) return;
      Bring(object);
    }
    SettleUntil(0);
  }
}

void WarmupRun::LookWhetherAllStayed(bool try_again) {
  for (Listed& listed : survey_.listed()) {
    if (stopped()) return;
    const Deadline deadline = Deadline::After(means_.clock, kLookWait);
    if (!listed.arrived || means_.tier.Cover(listed.info.version, deadline).whole) continue;
    listed.arrived = false;
    const auto object = std::make_shared<Object>();
    object->info = listed.info;
    object->listed = &listed;
    {
      const MutexLock lock(mutex_);
      progress_.completed_bytes -= object->size_bytes();
      --progress_.completed_object_count;
    }
    if (try_again) {
      Bring(object);
    } else {
      CountFailed(*object, {Errc::kNoSpace,
                            "it was loaded, and others took its place in the cache meanwhile"});
    }
  }
}

Result<> WarmupRun::Verdict() {
  bool is_directory = false;
  {
    const MutexLock lock(mutex_);
    progress_.total_bytes = seen_bytes_;
    progress_.total_object_count = seen_count_;
    is_directory = progress_.is_directory;
  }
  if (failed_count_ > 0)
    return Fail(example_->code, std::to_string(failed_count_) + " of " +
                                    std::to_string(seen_count_) +
                                    " files could not be loaded, for example " + example_->detail);
  if (!is_directory && seen_count_ == 0 && survey_.total_object_count() > 0)
    return Fail(Errc::kNotFound, "it was deleted meanwhile");
  return {};
}

}  // namespace shoal
