// One listing of one directory, page by page, as its reader asks for it.
//
// The next page is fetched while the reader takes the last one, so that a directory of
// many pages costs one wait a page at most. Entries keep their places; a reader may go
// back to any of them. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "fs/listing_merger.h"
#include "origin/object_store.h"

namespace shoal {

class DirectoryListing : public std::enable_shared_from_this<DirectoryListing> {
 public:
  // An entry and when the page it came with arrived.
  struct Found {
    ListedEntry entry;
    Instant as_of;
  };

  // `store`, `pool` and `clock` outlive the listing. A page is waited for `page_wait` at
  // most. Made by std::make_shared.
  DirectoryListing(ObjectStore& store, ThreadPool& pool, const Clock& clock, std::string prefix,
                   Duration page_wait);

  // Up to `count_max` entries from `index`; empty past the last. Waits for pages.
  // A page that failed is asked for again by the next call.
  Result<std::vector<ListedEntry>> Read(size_t index, size_t count_max, Deadline deadline);

  // The entry of that name, if a page has brought it. Does not wait.
  std::optional<Found> Find(std::string_view name) const;

  // Keys no path can name, met so far; and one of them.
  [[nodiscard]] uint64_t hidden_count() const;
  [[nodiscard]] std::string hidden_example() const;

 private:
  struct Place {
    uint32_t index;
    Instant as_of;
  };

  void FetchAhead();  // REQUIRES: mutex_ held
  void FetchPage();

  ObjectStore& store_;
  ThreadPool& pool_;
  const Clock& clock_;
  const std::string prefix_;
  const Duration page_wait_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable page_came_;
  ListingMerger merger_;
  std::deque<ListedEntry> entries_;  // never moved, so names_ may point in
  std::unordered_map<std::string_view, Place> names_;
  std::optional<std::string> next_;
  std::optional<Error> error_;  // of the page asked for last
  size_t wanted_ = 0;           // one past the furthest entry a reader took
  size_t waiting_count_ = 0;    // of readers
  bool complete_ = false;
  bool fetching_ = false;
};

}  // namespace shoal
