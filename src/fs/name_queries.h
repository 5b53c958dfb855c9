// What the store says of a name now: whether it is a file, a directory, or nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/recent_failures.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "fs/metadata_cache.h"
#include "origin/object_store.h"

namespace shoal {

// Keys that the store failed to answer for just now. Thread-safe.
class FailedKeys {
 public:
  // `clock` outlives this.
  explicit FailedKeys(const Clock& clock) : clock_(clock) {}

  // Notes the failure, if `answer` is one.
  void Note(const std::string& key, const Result<NameFact>& answer) EXCLUDES(mutex_);
  std::optional<Error> Find(const std::string& key) EXCLUDES(mutex_);

 private:
  // A second's worth: as many as there are threads that wait for the store, several times over.
  // What fails faster than that costs its repeats little.
  static constexpr size_t kCountMax = 1024;

  const Clock& clock_;
  Mutex mutex_;
  RecentFailures<std::string> failures_ GUARDED_BY(mutex_){kCountMax};
};

// Thread-safe. Every call waits for the store, until the deadline.
class NameQueries {
 public:
  // All outlive this; what runs on `pool` uses it, so that the pool ends first. `key_bytes_max`
  // is the store's.
  NameQueries(ObjectStore& store, const Clock& clock, ThreadPool& pool, size_t key_bytes_max)
      : store_(store), clock_(clock), pool_(pool), key_bytes_max_(key_bytes_max) {}

  // One HEAD and one LIST at once: "a/b/" hides "a/b", so one answer alone is not enough.
  Result<NameFact> Ask(const std::string& key, Deadline deadline);
  // One HEAD, for what was a file; both if it is none. A 404 to HEAD has no body that could say
  // whose it is, and there may be a directory now.
  Result<NameFact> AskForKnownFile(const std::string& key, Deadline deadline);

 private:
  // kMissing: there is no such file.
  Result<NameFact> AskForFile(const std::string& key, Deadline deadline);
  Result<bool> HasAnythingBelow(const std::string& prefix, Deadline deadline);

  ObjectStore& store_;
  const Clock& clock_;
  ThreadPool& pool_;
  const size_t key_bytes_max_;
};

}  // namespace shoal
