// What `df` shows: the bucket's use as the store last counted it, kept so that statfs
// never waits. Thread-safe.
#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "fs/file_system.h"
#include "origin/object_store.h"

namespace shoal {

class BucketUsageCache {
 public:
  // `store` and `clock` outlive this.
  BucketUsageCache(ObjectStore& store, const Clock& clock, Duration wait_max);

  // The last count; nothing used before the first.
  Usage Get() const;

  // True if the count is old (a minute) and nobody else is asking: the caller runs
  // Refresh, on a thread that may wait.
  bool ClaimRefresh();
  void Refresh();

 private:
  ObjectStore& store_;
  const Clock& clock_;
  const Duration wait_max_;

  mutable Mutex mutex_;
  BucketUsage usage_ GUARDED_BY(mutex_);
  Instant next_refresh_ GUARDED_BY(mutex_){};
  bool refreshing_ GUARDED_BY(mutex_) = false;
  bool failure_reported_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal
