// What a volume believes of the bytes that it has written or compared.
//
// A write ends when the kernel has taken the bytes; whether the medium took them shows later, as
// an error that the kernel keeps. Until then the kernel's own pages are right; when it has given
// them up, what is read is whatever the medium has. So bytes are believed only as long as no such
// error is known: it is asked for whenever an object is read that was written, or first looked
// at, since the last sync went well; and there is a sync every half a minute while there is
// something to write. After an error nothing is believed any more, and everything is compared
// with its checksum when it is next read from the medium.
//
// What such a process knew ends with it, and its pages do not; nor is the kernel's error told to
// who comes later. So what this process did not write is compared with what the medium has: before
// the first comparison of an object its pages are dropped. While some cannot be, it is compared
// each time it is read, and the kernel is not given it to read.
#include <vector>

#include "base/log.h"
#include "cache/cache_volume.h"

namespace shoal {

// Before what an earlier process left is compared. False: what would be read may still be what the
// kernel has in memory.
bool CacheVolume::AsksTheMedium(StoredObject& stored, bool waits) const {
  return !options_.may_wait || stored.DropPages(waits);
}

bool CacheVolume::IsOnMedium(const CachedObject& object) const {
  return !options_.may_wait || object.written_in_sync < sync_done_;
}

// False: what was read of it just now is not to be believed.
bool CacheVolume::ConfirmWritten(CachedObject& object) {
  if (object.distrusted) return false;
  if (IsOnMedium(object)) return true;
  Result<> confirmed;
  {
    // The kernel says it once for each descriptor: nobody may hear that all is well between that
    // and the end of belief.
    const MutexLock lock(confirm_mutex_);
    if (object.distrusted) return false;
    confirmed = object.stored()->ConfirmWritten();
    if (confirmed) return true;
    object.distrusted = true;
    Distrust();
  }
  SayLost(confirmed.error());
  return false;
}

void CacheVolume::SayLost(const Error& error) {
  log::Error("the cache at {} lost what it had taken, and is compared anew: {}", storage_->name(),
             error.detail);
  OnFailure(error);
}

// Does no I/O: the medium may hang by now, and readers come here.
void CacheVolume::Distrust() {
  const MutexLock lock(mutex_);
  if (scanned_) lost_writes_ = true;  // before, nothing was written
  index_.ForgetVerified();
  scrubbed_.reset();
  for (auto& [name, object] : objects_) {
    object->distrusted = true;
    to_drop_.push_back(object);  // which also keeps its files from being closed here
  }
  // The next who opens one of those that nobody uses looks at it anew.
  for (const auto& [since, object] : idle_) objects_.erase(object->name);
  idle_.clear();
  work_came_.NotifyAll();
}

bool CacheVolume::SyncIsDue() const {
  return options_.may_wait && health_.usable() && written_in_sync_ >= sync_done_ &&
         clock_.Now() >= next_sync_;
}

void CacheVolume::SyncNow() {
  next_sync_ = clock_.Now() + kSyncEvery;
  const uint64_t number = ++sync_begun_;
  const Result<> synced = storage_->SyncAll();
  if (!synced) {
    Distrust();
    return SayLost(synced.error());
  }
  sync_done_ = number;
}

}  // namespace shoal
