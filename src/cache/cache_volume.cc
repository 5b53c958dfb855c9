#include "cache/cache_volume.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace shoal {
namespace {

// A medium serves no more at once for being asked more; and who waits in line gives up.
constexpr size_t kReaderThreads = 8;
// The share of the queue for what nobody waits for. Those who fill patiently wake when half of
// that is left: one at a time for each chunk written would be more waking than writing.
constexpr uint64_t kPatientShare = 2;
constexpr uint64_t kPatientWakeShare = 4;
// How often who waits patiently looks whether the medium works at all.
constexpr Duration kPatientLooksEvery = std::chrono::seconds(1);
// How long a reader waits for a medium before it goes elsewhere.
constexpr Duration kStallMax = std::chrono::milliseconds(250);
// How long a fetch waits for room in the queue of a medium, and once that was in vain, how long
// none does.
constexpr Duration kFillWaitMax = std::chrono::milliseconds(100);
constexpr Duration kBehindFor = std::chrono::seconds(5);
// A medium that takes so long for one piece hangs.
constexpr Duration kWriteMax = std::chrono::seconds(10);
// More are checked as they are read.
constexpr size_t kToCheckMax = 256;
// So many reads that are stuck at once are no chance.
constexpr uint32_t kStalledCountMax = kReaderThreads / 2;

}  // namespace

class CacheVolume::File final : public WholeFile {
 public:
  File(CacheVolume& volume, Use use) : volume_(volume), use_(std::move(use)) {}
  [[nodiscard]] int fd() const override { return use_->stored()->data_fd(); }
  [[nodiscard]] bool MayBeBelieved() const override { return volume_.ConfirmWritten(*use_); }

 private:
  CacheVolume& volume_;
  const Use use_;
};

CacheVolume::CacheVolume(const VolumeOptions& options, std::unique_ptr<CacheStorage> storage,
                         const Clock& clock)
    : options_(options),
      storage_(std::move(storage)),
      clock_(clock),
      capacity_bytes_(options.capacity_bytes),
      free_bytes_min_(options.free_bytes_min),
      health_(storage_->name(), clock),
      next_sync_(clock.Now() + kSyncEvery) {
  if (options.may_wait) {
    readers_.emplace("cache-read", kReaderThreads);
    writer_.emplace("cache-write", 1);
  }
  maintainer_ = std::thread([this] { Maintain(); });
}

CacheVolume::~CacheVolume() {
  writer_.reset();
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    work_came_.NotifyAll();
  }
  maintainer_.join();
  if (scanned_ && health_.usable()) PutInOrder(/*makes_room=*/false);
  readers_.reset();
}

CacheVolume::Use CacheVolume::Open(const ObjectDigest& name, const std::string& identity,
                                   uint64_t size_bytes) {
  return StartUse(name, identity, size_bytes, true);
}

CacheVolume::Use CacheVolume::StartUse(const ObjectDigest& name, const std::string& identity,
                                       uint64_t size_bytes, bool counts) {
  std::shared_ptr<CachedObject> displaced;  // its files are closed after the lock
  const MutexLock lock(mutex_);
  std::shared_ptr<CachedObject>& object = objects_[name];
  // Two objects of one digest: the newcomer has the name from now on.
  if (object == nullptr || object->identity != identity) {
    if (object != nullptr) {
      idle_.erase(object->idle_since);
      object->SetState(CachedObject::State::kGone);
      object->distrusted = true;
      displaced = std::move(object);
    }
    object =
        std::make_shared<CachedObject>(name, identity, size_bytes, options_.page_bytes, clock_);
    if (scanned_ && !index_.Contains(name)) object->SetState(CachedObject::State::kAbsent);
  }
  if (object->user_count++ == 0) idle_.erase(object->idle_since);
  if (counts) index_.Touch(name);
  return Use(*this, object);
}

void CacheVolume::EndUse(std::shared_ptr<CachedObject> object) {
  std::shared_ptr<CachedObject> oldest;  // its files are closed after the lock
  const MutexLock lock(mutex_);
  if (--object->user_count > 0) return;
  const auto known = objects_.find(object->name);
  if (known == objects_.end() || known->second != object) return;
  if (object->state() != CachedObject::State::kHere || object->distrusted) {
    objects_.erase(known);
    return;
  }
  object->idle_since = ++idle_clock_;
  idle_.emplace(object->idle_since, std::move(object));
  if (idle_.size() <= kIdleObjectsMax) return;
  oldest = std::move(idle_.begin()->second);
  idle_.erase(idle_.begin());
  objects_.erase(oldest->name);
}

bool CacheVolume::RunInTime(std::function<void()> work, Deadline deadline) {
  if (!readers_) {
    work();
    return true;
  }
  const Duration wait = std::min(kStallMax, deadline.Remaining(clock_));
  if (wait <= Duration::zero()) return false;
  struct Rendezvous {
    Mutex mutex;
    CondVar done_changed;
    bool started GUARDED_BY(mutex) = false;
    bool done GUARDED_BY(mutex) = false;
    bool abandoned GUARDED_BY(mutex) = false;
    bool stuck GUARDED_BY(mutex) = false;  // counted as such
  };
  const auto rendezvous = std::make_shared<Rendezvous>();
  readers_->Run([this, rendezvous, work = std::move(work)] {
    {
      const MutexLock lock(rendezvous->mutex);
      if (rendezvous->abandoned) return;  // while it stood in line
      rendezvous->started = true;
    }
    work();
    const MutexLock lock(rendezvous->mutex);
    rendezvous->done = true;
    rendezvous->done_changed.NotifyOne();
    if (rendezvous->stuck) --stalled_count_;
  });
  bool hangs = false;
  {
    const MutexLock lock(rendezvous->mutex);
    const auto until = CondVar::In(wait);
    while (!rendezvous->done && rendezvous->done_changed.WaitUntil(rendezvous->mutex, until))
      continue;
    if (rendezvous->done) return true;
    rendezvous->abandoned = true;
    // What only stood in line says that the medium is busy, not that it hangs.
    rendezvous->stuck = rendezvous->started && wait == kStallMax;
    hangs = rendezvous->stuck && ++stalled_count_ >= kStalledCountMax;
  }
  metrics_.stalled_reads.Add();
  if (hangs) health_.OnFailure("it does not answer");
  return false;
}

void CacheVolume::Fill(const Use& use, CacheChunk chunk) {
  if (!health_.usable()) {
    metrics_.dropped_bytes.Add(chunk.size_bytes);
    return;
  }
  auto shared = std::make_shared<const CacheChunk>(std::move(chunk));
  if (!writer_ && AwaitCount()) return Write(*use, *shared);
  bool takes_it = false;
  bool hangs = false;
  if (writer_) {
    const MutexLock lock(mutex_);
    hangs = write_began_ && clock_.Now() - *write_began_ >= kWriteMax;
    takes_it = !hangs && AwaitRoomFor(shared->size_bytes);
    if (takes_it) CountQueued(*use, *shared);
  }
  if (takes_it) return Enqueue(use, std::move(shared));
  metrics_.dropped_bytes.Add(shared->size_bytes);
  if (hangs) health_.OnFailure("it does not take what is written");
}

// Most begin empty. What another process left takes longer to count than readers should wait.
bool CacheVolume::AwaitCount() {
  const MutexLock lock(mutex_);
  if (!scanned_ && clock_.Now() >= behind_until_) {
    const auto until = CondVar::In(kFillWaitMax);
    while (!scanned_ && changed_.WaitUntil(mutex_, until)) continue;
  }
  if (!scanned_) behind_until_ = clock_.Now() + kBehindFor;
  return scanned_;
}

bool CacheVolume::HasRoomFor(uint64_t queued_bytes) const {
  return queued_bytes_ + queued_bytes <= options_.queued_bytes_max;
}

// A link faster than the medium is held back a little, so that objects become whole; but not by
// one that hangs.
bool CacheVolume::AwaitRoomFor(uint64_t queued_bytes) {
  if (scanned_ && !HasRoomFor(queued_bytes) && clock_.Now() >= behind_until_) {
    const auto until = CondVar::In(kFillWaitMax);
    while (!HasRoomFor(queued_bytes) && queue_moved_.WaitUntil(mutex_, until)) continue;
    if (!HasRoomFor(queued_bytes)) behind_until_ = clock_.Now() + kBehindFor;
  }
  return scanned_ && HasRoomFor(queued_bytes);
}

bool CacheVolume::FillPatiently(const Use& use, CacheChunk chunk, Deadline deadline) {
  auto shared = std::make_shared<const CacheChunk>(std::move(chunk));
  {
    const MutexLock lock(mutex_);
    const auto may_go = [&]() REQUIRES(mutex_) {
      return scanned_ &&
             queued_bytes_ + shared->size_bytes <= options_.queued_bytes_max / kPatientShare;
    };
    while (health_.usable() && !may_go() && !deadline.Passed(clock_))
      queue_sank_.WaitFor(mutex_, std::min(kPatientLooksEvery, deadline.Remaining(clock_)));
    if (!health_.usable() || !may_go()) {
      metrics_.dropped_bytes.Add(shared->size_bytes);
      return false;
    }
    if (writer_) CountQueued(*use, *shared);
  }
  if (writer_)
    Enqueue(use, std::move(shared));
  else
    Write(*use, *shared);
  return true;
}

void CacheVolume::CountQueued(CachedObject& object, const CacheChunk& chunk) {
  queued_bytes_ += chunk.size_bytes;
  ++write_count_;
  ++object.user_count;
}

void CacheVolume::Enqueue(const Use& use, std::shared_ptr<const CacheChunk> chunk) {
  use->AddPending(chunk);
  // Who opens the object meanwhile has to find the same one, with what is pending.
  auto writing = std::make_shared<Use>(*this, use.object());
  writer_->Run([this, writing, chunk = std::move(chunk)]() mutable {
    {
      const MutexLock begin_lock(mutex_);
      write_began_ = clock_.Now();
    }
    Write(**writing, *chunk);
    (*writing)->DropPending(*chunk);
    writing.reset();
    const MutexLock done_lock(mutex_);
    write_began_.reset();
    queued_bytes_ -= chunk->size_bytes;
    queue_moved_.NotifyAll();
    if (queued_bytes_ <= options_.queued_bytes_max / kPatientWakeShare) queue_sank_.NotifyAll();
    if (--write_count_ == 0) changed_.NotifyAll();
  });
}

bool CacheVolume::WaitUntilSettled(const Use& use, Deadline deadline) {
  const MutexLock lock(mutex_);
  while (use->has_pending()) {
    if (deadline.Passed(clock_)) return false;
    queue_moved_.WaitFor(mutex_, std::min(kPatientLooksEvery, deadline.Remaining(clock_)));
  }
  return true;
}

CacheVolume::Presence CacheVolume::PresenceOf(const CachedObject& object) const {
  if (object.state() != CachedObject::State::kHere) return {};
  return {.bytes = std::min(object.size_bytes, object.present.count() * object.page_bytes),
          .whole = object.complete()};
}

CacheVolume::Presence CacheVolume::Look(const ObjectDigest& name, const std::string& identity,
                                        uint64_t size_bytes, Deadline deadline) {
  if (!health_.usable()) return {};
  {
    const MutexLock lock(mutex_);
    const auto known = objects_.find(name);
    if (known != objects_.end()) {
      if (known->second->identity != identity) return {};
      if (known->second->state() != CachedObject::State::kUnknown)
        return PresenceOf(*known->second);
    } else if (index_.IsVerified(name)) {
      return {.bytes = size_bytes, .whole = true};
    } else if (scanned_ && !index_.Contains(name)) {
      return {};
    }
  }
  const Use use = StartUse(name, identity, size_bytes, false);
  return Load(use, deadline) ? PresenceOf(*use) : Presence{};
}

void CacheVolume::Favour(const ObjectDigest& name) {
  const MutexLock lock(mutex_);
  index_.Favour(name);
}

uint64_t CacheVolume::RoomBytes(Deadline deadline) {
  const auto room = std::make_shared<std::optional<CacheStorage::Room>>();
  const bool known = RunInTime(
      [this, room] {
        if (const Result<CacheStorage::Room> got = storage_->GetRoom()) *room = *got;
      },
      deadline);
  const MutexLock lock(mutex_);
  if (!known || !*room || !scanned_) return capacity_bytes_;
  const uint64_t floor_bytes = std::min(free_bytes_min_.load(), (*room)->total_bytes / 20);
  const uint64_t free_bytes =
      (*room)->free_bytes > floor_bytes ? (*room)->free_bytes - floor_bytes : 0;
  const uint64_t own_bytes = storage_->own_block_count() * kCacheBlockBytes;
  const uint64_t own_capacity = capacity_bytes_;
  return std::min(own_capacity > own_bytes ? own_capacity - own_bytes : 0,
                  (index_.total_blocks() + leaving_block_count_) * kCacheBlockBytes + free_bytes);
}

std::shared_ptr<const WholeFile> CacheVolume::Whole(const Use& use, Deadline deadline) {
  if (use->size_bytes < options_.whole_bytes_min || use->size_bytes == 0) return nullptr;
  if (!health_.usable()) return nullptr;  // the kernel would wait for it without end
  if (!Load(use, deadline)) return nullptr;
  if (use->complete() && !use->checked.full() && !use->distrusted &&
      use->size_bytes <= kCheckedAtOpenBytesMax)
    RunInTime([this, object = use.object()] { CheckAll(*object, Pace::kForReader); }, deadline);
  if (const auto known = WholeIfKnown(use)) return *known;
  // Owned by both sides: who gives up leaves it behind.
  const auto works = std::make_shared<std::atomic<bool>>(false);
  RunInTime([this, object = use.object(), works] { *works = MayBeReadAlone(*object); }, deadline);
  return *works ? GiveOut(use) : nullptr;
}

// Whether the medium can be read at all where this lies, and is not known to have lost something
// of it. May wait for the medium.
bool CacheVolume::MayBeReadAlone(CachedObject& object) {
  std::byte first{};
  if (const Result<> read = object.stored()->ReadData(0, {&first, 1}); !read) {
    OnBadSpot(object, read.error());
    return false;
  }
  return ConfirmWritten(object);
}

std::shared_ptr<const WholeFile> CacheVolume::GiveOut(const Use& use) {
  const MutexLock lock(mutex_);
  if (use->state() != CachedObject::State::kHere || use->distrusted) return nullptr;
  ++use->user_count;
  return std::make_shared<File>(*this, Use(*this, use.object()));
}

std::optional<std::shared_ptr<const WholeFile>> CacheVolume::WholeIfKnown(const Use& use) {
  CachedObject& object = *use;
  if (object.size_bytes < options_.whole_bytes_min || object.size_bytes == 0) return nullptr;
  if (!health_.usable()) return nullptr;
  if (object.state() == CachedObject::State::kUnknown) return std::nullopt;
  {
    const MutexLock lock(mutex_);
    if (object.state() != CachedObject::State::kHere || !object.complete() || object.distrusted)
      return nullptr;
    if (object.stored()->data_fd() < 0) return nullptr;
    if (!object.checked.full()) {
      if (!object.to_be_checked && to_check_.size() < kToCheckMax) {
        object.to_be_checked = true;
        to_check_.push_back(use.object());
        work_came_.NotifyAll();
      }
      return nullptr;
    }
  }
  std::byte first{};
  if (!IsOnMedium(object) || !object.stored()->ReadDataNow(0, {&first, 1})) return std::nullopt;
  return GiveOut(use);
}

Result<> CacheVolume::SetCapacity(uint64_t capacity_bytes) {
  RETURN_IF_ERROR(storage_->Resize(capacity_bytes));
  const MutexLock lock(mutex_);
  capacity_bytes_ = capacity_bytes;
  OnOtherLimit();
  return {};
}

void CacheVolume::SetFreeBytesMin(uint64_t free_bytes_min) {
  const MutexLock lock(mutex_);
  free_bytes_min_ = free_bytes_min;
  OnOtherLimit();
}

void CacheVolume::OnOtherLimit() {
  ++limit_change_count_;
  may_be_over_ = true;
  full_until_ = {};
  work_came_.NotifyAll();
}

CacheVolume::Usage CacheVolume::usage() {
  const MutexLock lock(mutex_);
  return {.used_bytes = BlocksUsed() * kCacheBlockBytes,
          .object_count = index_.object_count(),
          .object_count_max = ObjectCountMax(),
          .index_bytes = index_.memory_bytes() + storage_->memory_bytes(),
          .scanned = scanned_};
}

void CacheVolume::WaitUntilScanned() {
  const MutexLock lock(mutex_);
  while (!scanned_) changed_.Wait(mutex_);
}

void CacheVolume::WaitUntilWithinCapacity() {
  const MutexLock lock(mutex_);
  while (may_be_over_ || removes_too_many_) changed_.Wait(mutex_);
}

void CacheVolume::WaitUntilWritten() {
  const MutexLock lock(mutex_);
  while (write_count_ > 0) changed_.Wait(mutex_);
}

}  // namespace shoal
