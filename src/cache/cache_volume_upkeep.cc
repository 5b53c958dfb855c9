// What a volume does when nobody asks: it counts what is there, looks whether that is still
// right, and tries whether a medium that failed works again.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/log.h"
#include "cache/cache_volume.h"

namespace shoal {
namespace {

// Of more, the bits alone would take much memory; they are checked as they are read.
constexpr uint64_t kScrubbedPagesMax = uint64_t{1} << 28;
constexpr Duration kScrubEvery = std::chrono::hours(24);
// Others fill a medium, too, while nothing is written here.
constexpr Duration kRoomLookedAtEvery = std::chrono::seconds(5);
constexpr int kNiceness = 10;
// The kernel has a page in hand for a moment now and then, and cannot drop it.
constexpr int kDropsTried = 3;
constexpr Duration kDropTriedEvery = std::chrono::milliseconds(20);
constexpr Duration kTrialLooksEvery = std::chrono::milliseconds(200);
constexpr char kTrialIdentity[] = "a trial of the medium";

}  // namespace

void CacheVolume::Maintain() {
  pthread_setname_np(pthread_self(), "cache-upkeep");
  // The first readers come now; the count can wait.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  bool rests = false;  // much has gone, or what is too much is in use: other things have their turn
  const MutexLock lock(mutex_);
  while (!stopping_) {
    if (!scanned_ && health_.usable()) {
      mutex_.Unlock();
      const bool counted = Scan();
      mutex_.Lock();
      scanned_ = counted;
      changed_.NotifyAll();
      queue_sank_.NotifyAll();
      if (!counted && !stopping_) work_came_.WaitFor(mutex_, kTrialLooksEvery);
    } else if (scanned_ && !too_many_.empty() && health_.usable()) {
      mutex_.Unlock();
      RemoveTooMany();
      mutex_.Lock();
      changed_.NotifyAll();
    } else if (!to_drop_.empty()) {
      std::vector<std::shared_ptr<CachedObject>> to_drop = std::exchange(to_drop_, {});
      mutex_.Unlock();
      for (const auto& object : to_drop)
        if (StoredObject* const stored = object->stored(); stored != nullptr)
          (void)stored->DropPages(/*waits=*/false);
      to_drop.clear();  // closes files
      mutex_.Lock();
    } else if (!to_check_.empty()) {
      std::shared_ptr<CachedObject> object = std::move(to_check_.front());
      to_check_.pop_front();
      object->to_be_checked = false;
      const bool is_used = object->user_count > 0;
      mutex_.Unlock();  // also for the last one to go: its files are closed after the lock
      if (!is_used) {
        object.reset();
        mutex_.Lock();
        continue;
      }
      if (object->has_old_pages) {
        // Else somebody maps it: it is compared each time until it is next loaded.
        bool asks_medium = AsksTheMedium(*object->stored(), /*waits=*/true);
        for (int i = 1; i < kDropsTried && !asks_medium; ++i) {
          {
            const MutexLock pause_lock(mutex_);
            const auto until = CondVar::In(kDropTriedEvery);
            while (!stopping_ && work_came_.WaitUntil(mutex_, until)) continue;
          }
          asks_medium = AsksTheMedium(*object->stored(), /*waits=*/true);
        }
        if (asks_medium)
          object->has_old_pages = false;
        else
          object->distrusted = true;
      }
      if (!object->distrusted) CheckAll(*object, Pace::kUpkeep);
      object.reset();
      mutex_.Lock();
    } else if (scanned_ && may_be_over_ && !rests && health_.usable()) {
      const uint64_t change_count = limit_change_count_;
      mutex_.Unlock();
      const bool fits = Reserve(0, false);
      mutex_.Lock();
      // It may have become smaller again meanwhile.
      may_be_over_ = !fits || change_count != limit_change_count_;
      changed_.NotifyAll();
      rests = !fits;
    } else if (health_.TrialIsDue()) {
      mutex_.Unlock();
      Try();
      mutex_.Lock();
    } else if (SyncIsDue() || RoomIsDue()) {
      mutex_.Unlock();
      DoWhatIsDue();
      mutex_.Lock();
    } else if (scanned_ && options_.may_wait && !may_be_over_ && health_.usable() &&
               clock_.Now() >= next_scrub_) {
      mutex_.Unlock();
      const bool finished = Scrub();
      mutex_.Lock();
      if (finished) {  // else there was something else to do
        next_scrub_ = clock_.Now() + kScrubEvery;
        scrubs_again_ = true;
      }
    } else {
      work_came_.WaitFor(mutex_, kTrialLooksEvery);
      rests = false;
    }
  }
}

// False: some of what is there was not counted, so nothing may be written yet.
bool CacheVolume::Scan() {
  std::deque<Counted> found;  // lets go of its memory as the index takes some
  const Result<> scanned = storage_->ScanAndClean([&](const CacheStorage::Found& object) {
    found.push_back({.name = object.name,
                     .block_count = static_cast<uint32_t>(object.block_count),
                     .used_unix_seconds = static_cast<uint32_t>(
                         std::clamp<int64_t>(object.used_unix_seconds, 0, ~uint32_t{0}))});
    const MutexLock lock(mutex_);
    return !stopping_;
  });
  if (!scanned) {
    OnFailure(scanned.error());
    return false;
  }
  std::ranges::sort(found, {}, &Counted::used_unix_seconds);
  const size_t object_count = found.size();
  const size_t too_many_count = object_count - std::min<size_t>(object_count, ObjectCountMax());
  while (object_count - found.size() < too_many_count) {
    const MutexLock lock(mutex_);
    for (size_t i = 0; i < kAtOnceMax && object_count - found.size() < too_many_count; ++i) {
      leaving_block_count_ += found.front().block_count;
      too_many_.push_back(found.front());
      removes_too_many_ = true;
      found.pop_front();
    }
  }
  uint64_t bytes = 0;
  while (!found.empty()) {
    const MutexLock lock(mutex_);
    for (size_t i = 0; i < kAtOnceMax && !found.empty(); ++i) {
      index_.Put(found.front().name, found.front().block_count);
      bytes += found.front().block_count * kCacheBlockBytes;
      found.pop_front();
    }
  }
  if (object_count > 0)
    log::Info("the cache at {} has {} objects, {} MiB", storage_->name(),
              object_count - too_many_count, bytes / kMiB);
  if (too_many_count > 0)
    log::Warn("the cache at {} had {} objects more than there is memory to know: the oldest go",
              storage_->name(), too_many_count);
  SayIfTooLarge();
  const MutexLock lock(mutex_);
  may_be_over_ = true;  // the capacity may be less than it was
  return true;
}

// Those that there is no memory to know, some of them.
void CacheVolume::RemoveTooMany() {
  std::vector<Victim> victims;
  {
    const MutexLock lock(mutex_);
    while (!too_many_.empty() && victims.size() < kAtOnceMax) {
      const Counted oldest = too_many_.front();
      too_many_.pop_front();
      leaving_block_count_ -= oldest.block_count;
      if (index_.Contains(oldest.name)) continue;  // made anew, in place of what was there
      const auto known = objects_.find(oldest.name);
      if (known != objects_.end() && known->second->user_count > 0)
        index_.Put(oldest.name, oldest.block_count);
      else
        victims.push_back(TakeOut(oldest.name, oldest.block_count, /*is_verified=*/false));
    }
  }
  Evict(std::move(victims));
  {
    const MutexLock lock(mutex_);
    removes_too_many_ = !too_many_.empty();
  }
  DoWhatIsDue();
}

void CacheVolume::SayIfTooLarge() {
  if (!options_.may_wait) return;
  const Result<CacheStorage::Room> room = storage_->GetRoom();
  const MutexLock lock(mutex_);
  if (room && room->total_bytes < capacity_bytes_)
    log::Warn(
        "the cache at {} may take {} MiB, and its file system has {}: it stops at what is free, "
        "less cache_min_free_mb",
        storage_->name(), capacity_bytes_ / kMiB, room->total_bytes / kMiB);
}

bool CacheVolume::RoomIsDue() const {
  return scanned_ && health_.usable() && clock_.Now() >= next_look_at_room_;
}

// Also in the middle of what takes long.
void CacheVolume::DoWhatIsDue() {
  if (SyncIsDue()) SyncNow();
  {
    const MutexLock lock(mutex_);
    if (!RoomIsDue()) return;
  }
  next_look_at_room_ = clock_.Now() + kRoomLookedAtEvery;
  Reserve(0, false);  // others may have filled the medium
  PutInOrder(/*makes_room=*/true);
}

// What the storage has to write for its indexes takes room as anything else does.
void CacheVolume::PutInOrder(bool makes_room) {
  for (size_t index = 0; index < storage_->index_count() && health_.usable(); ++index) {
    const uint64_t wanted_block_count = storage_->BlocksToPutInOrder(index);
    // After one refusal nothing more gives way to the others, until the next time.
    if (wanted_block_count > 0) makes_room = makes_room && Reserve(wanted_block_count, false);
    const uint64_t block_count = makes_room ? wanted_block_count : 0;
    if (const Result<> done = storage_->PutInOrder(index, block_count);
        !done && !said_disorder_.exchange(true))
      log::Warn("the cache at {} cannot put its indexes in order: {}", storage_->name(),
                done.error().detail);
    const MutexLock lock(mutex_);
    reserved_block_count_ -= block_count;
    makes_room = makes_room && !stopping_;
  }
}

// Compares what an earlier process left with its checksums. False: it was cut short.
bool CacheVolume::Scrub() {
  bool finished = true;
  const Result<> scanned = storage_->Scan(
      [&](const CacheStorage::Found& found) { return finished = ScrubOne(found.name); });
  if (!scanned) OnFailure(scanned.error());
  return finished && scanned;
}

// False: there is something else to do.
bool CacheVolume::ScrubOne(const ObjectDigest& name) {
  DoWhatIsDue();
  bool verified = false;
  {
    const MutexLock lock(mutex_);
    if (stopping_ || !to_check_.empty() || may_be_over_ || !health_.usable()) return false;
    verified = index_.IsVerified(name);
    if (verified && !scrubs_again_) return true;
    if (!index_.Contains(name)) return true;  // it is being evicted
    scrubbed_ = name;
  }
  Result<std::unique_ptr<StoredObject>> stored = storage_->Open(name);
  if (!stored) return true;  // evicted meanwhile, or its reader will see
  const bool asks_medium = verified || AsksTheMedium(**stored, /*waits=*/true);
  const Result<ObjectMeta> meta = ReadMeta(**stored);
  if (!meta || PageCount(meta->size_bytes, meta->page_bytes) > kScrubbedPagesMax) return true;
  if (meta->page_bytes != options_.page_bytes) {  // it is of no use, as its next reader would find
    stored->reset();
    const Use use = StartUse(name, meta->identity, meta->size_bytes, false);
    LoadNow(*use);
    return true;
  }
  CachedObject object(name, meta->identity, meta->size_bytes, meta->page_bytes, clock_);
  object.SetStored(*std::move(stored));
  object.distrusted = !asks_medium;
  ReadTable(object);
  if (!CheckAll(object, Pace::kScrub)) return object.state() == CachedObject::State::kGone;
  const MutexLock lock(mutex_);
  if (object.checked.full() && scrubbed_ == name && index_.Contains(name)) index_.SetVerified(name);
  return true;
}

// Everything a fill and a read need, on a small scale.
void CacheVolume::Try() {
  const std::string identity = kTrialIdentity;
  const ObjectDigest name = ObjectDigest::Of(identity);
  const auto trial = [&]() -> Result<> {
    ASSIGN_OR_RETURN(const std::unique_ptr<StoredObject> stored,
                     storage_->Create(name, identity.size()));
    RETURN_IF_ERROR(stored->WriteData(0, std::as_bytes(std::span(identity))));
    RETURN_IF_ERROR(stored->Sync());
    (void)stored->DropPages(/*waits=*/false);
    std::string found(identity.size(), '\0');
    RETURN_IF_ERROR(stored->ReadData(0, std::as_writable_bytes(std::span(found))));
    if (found != identity) return Fail(Errc::kCorrupt, "what was read is not what was written");
    return storage_->Remove(name);
  };
  const Result<> passed = trial();
  // Of a medium that is full it is known that it can be read; room is another matter.
  const bool is_full = !passed && passed.error().code == Errc::kNoSpace;
  if (is_full) (void)storage_->Remove(name);
  if (passed || is_full) {
    if (met_errors_.exchange(false)) Distrust();
    health_.OnTrialPassed();
  } else {
    met_errors_ = true;  // it may have been of something else that was written
    health_.OnFailure(passed.error().detail);
  }
}

}  // namespace shoal
