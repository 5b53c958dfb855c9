// Whole listings of directories, kept for those who open the directory again.
//
// Bounded by entries and by bytes in all; past either the listing used least recently goes.
// A listing that is over a bound by itself is not kept. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "fs/directory_listing.h"
#include "fs/file_system.h"
#include "fs/metadata_cache.h"

namespace shoal {

class DirectoryCache {
 public:
  // `clock` outlives this.
  DirectoryCache(const Clock& clock, DirectoryCacheLimits limits)
      : clock_(clock), limits_(limits) {}

  // Null if none is kept, or it is too old.
  std::shared_ptr<DirectoryListing> Find(std::string_view prefix);

  // Keeps `listing` if it is complete, within the limits, not disowned, and began after the
  // last Clear. It then replaces one of the same prefix.
  void Keep(const std::shared_ptr<DirectoryListing>& listing);

  // The store was asked for `prefix` + `name` and said this. A kept listing that says
  // otherwise is old news: it goes, and whoever opens the directory next gets a new one.
  void Compare(std::string_view prefix, std::string_view name, const NameFact& fact);

  // From now on; what is too much goes at once.
  void SetLimits(const DirectoryCacheLimits& limits);

  // Lets go of all; listings under way will not be kept.
  void Clear();
  [[nodiscard]] uint64_t clear_count() const;

  [[nodiscard]] uint64_t entry_count() const;
  [[nodiscard]] uint64_t size_bytes() const;

 private:
  struct Row {
    std::shared_ptr<DirectoryListing> listing;
    uint64_t entry_count;
    uint64_t size_bytes;
  };
  using Rows = std::list<Row>;
  // Rows go to `removed`, to be freed after the lock.
  void Remove(Rows::iterator row, Rows& removed) REQUIRES(mutex_);
  void MakeRoom(uint64_t entry_count, uint64_t size_bytes, Rows& removed) REQUIRES(mutex_);
  [[nodiscard]] bool IsOld(const DirectoryListing& listing) const REQUIRES(mutex_) {
    return clock_.Now() - listing.begin().at >= limits_.kept_for;
  }

  const Clock& clock_;

  mutable Mutex mutex_;
  DirectoryCacheLimits limits_ GUARDED_BY(mutex_);
  Rows rows_ GUARDED_BY(mutex_);  // used last first
  // Views of the listings' prefixes.
  std::unordered_map<std::string_view, Rows::iterator> by_prefix_ GUARDED_BY(mutex_);
  uint64_t entry_count_ GUARDED_BY(mutex_) = 0;
  uint64_t size_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t clear_count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
