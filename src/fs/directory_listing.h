// One listing of one directory, page by page, as its reader asks for it.
//
// The next page is fetched while the reader takes the last one, so that a directory of
// many pages costs one wait a page at most. If pages are slow and many, several are fetched
// at once, from different places (listing_ranges.h).
//
// Entries keep their places, and a reader may go back to any of them. What has come is held for
// look-ups and for programs that read the files in its order, until the memory for listings is used
// up (listing_memory.h): then pages that the reader has passed go, at worst nothing is fetched
// but what comes next, and who goes back has the pages fetched again from there on. What the store
// has got or lost there since then moves the places of what follows. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "fs/listed_pages.h"
#include "fs/listing_memory.h"
#include "fs/listing_merger.h"
#include "fs/listing_ranges.h"
#include "origin/object_store.h"

namespace shoal {

// When a listing began, in the time of the clock and in that of the caches: how often each
// had been cleared. What was asked for before a cache was cleared is not for that cache.
struct ListingBegin {
  Instant at{};
  uint64_t directory_clear_count = 0;
  uint64_t metadata_clear_count = 0;
};

class DirectoryListing : public std::enable_shared_from_this<DirectoryListing> {
 public:
  // An entry and when the page it came with arrived.
  struct Found {
    ListedEntry entry;
    Instant as_of;
  };

  // Called with what each page brought, before a reader sees it, from any thread, one call at
  // a time.
  using PageSeen = std::function<void(std::span<const ListedEntry>)>;

  // `store`, `pool`, `clock`, `memory` and what `page_seen` uses outlive the listing. A page is
  // waited for until `page_wait` after the last call of Read, in the queue of the pool as well as
  // at the store; one whose turn comes later is not asked for. Made by std::make_shared.
  DirectoryListing(ObjectStore& store, ThreadPool& pool, const Clock& clock, ListingMemory& memory,
                   std::string prefix, Duration page_wait, ListingBegin begin,
                   PageSeen page_seen = {});

  // Up to `count_max` entries from `index`; empty past the last. Waits for pages.
  // A page that failed is asked for again by the next call.
  Result<std::vector<ListedEntry>> Read(size_t index, size_t count_max, Deadline deadline);

  // The entry of that name, if a page has brought it and is held. Does not wait.
  std::optional<Found> Find(std::string_view name) const;

  // The same by places: that of a name, and what is at one.
  std::optional<size_t> IndexOf(std::string_view name) const;
  std::optional<ListedEntry> EntryAt(size_t index) const;

  // Whether all pages have come and are held; then nothing of it changes any more.
  [[nodiscard]] bool complete() const;
  // Whether all pages have come, held or not.
  [[nodiscard]] bool ended() const;
  // That have come, held or not.
  [[nodiscard]] size_t entry_count() const;
  [[nodiscard]] size_t memory_bytes() const;
  // The same, but nothing of one that is kept or has a reader: whoever else holds it holds no
  // memory by that.
  [[nodiscard]] size_t left_over_bytes() const;

  // A program has the directory open, for as long as the answer lives.
  [[nodiscard]] std::shared_ptr<const void> NoteReader();
  // Whether a cache keeps it, which then counts its memory.
  void NoteKept(bool kept);

  // When the last page came; `begin().at` before the first.
  [[nodiscard]] Instant last_page_came() const;

  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] const ListingBegin& begin() const { return begin_; }

  // The store has said something else since: not to be given to those who open the directory.
  void Disown() { disowned_ = true; }
  [[nodiscard]] bool disowned() const { return disowned_; }

  // Keys no path can name, met so far; and one of them.
  [[nodiscard]] uint64_t hidden_count() const;
  [[nodiscard]] std::string hidden_example() const;

 private:
  // From where on pages can be fetched once more.
  struct Start {
    size_t index;                   // of the first entry that they bring
    std::string after;              // as in ListQuery
    std::vector<ListedEntry> held;  // by the merger
  };

  void FetchAhead() REQUIRES(mutex_);
  Result<ListPage> AskFor(uint64_t pass, const ListingRanges::Fetch& fetch);
  void FetchPage(uint64_t pass, const ListingRanges::Fetch& fetch);
  // Moves the pages whose turn it is to the entries; whether there were any entries in them.
  // Gives up the lock while it calls page_seen_.
  bool TakePages() REQUIRES(mutex_);
  void AddPage(std::span<const ListedEntry> entries, Instant came, Start start) REQUIRES(mutex_);
  void AddStart(Start start) REQUIRES(mutex_);
  [[nodiscard]] static size_t BytesOf(const Start& start);  // of the heap
  // What is not held any more: fetches it again.
  void GoBackTo(size_t index) REQUIRES(mutex_);
  [[nodiscard]] bool MaySplit() const REQUIRES(mutex_);
  void CountMemory() REQUIRES(mutex_);
  [[nodiscard]] bool IsSlow() const REQUIRES(mutex_);
  [[nodiscard]] bool IsToHoldLess() const REQUIRES(mutex_);
  [[nodiscard]] size_t MemoryBytes() const REQUIRES(mutex_);

  ObjectStore& store_;
  ThreadPool& pool_;
  const Clock& clock_;
  ListingMemory& memory_;
  const std::string prefix_;
  const Duration page_wait_;
  const ListingBegin begin_;
  const PageSeen page_seen_;
  std::atomic<bool> disowned_ = false;
  std::atomic<int> reader_count_ = 0;

  mutable Mutex mutex_;
  CondVar page_came_;
  ListingRanges ranges_ GUARDED_BY(mutex_);
  ListingMerger merger_ GUARDED_BY(mutex_);
  ListedPages pages_ GUARDED_BY(mutex_);
  ListingMemory::Share share_ GUARDED_BY(mutex_);
  bool kept_ GUARDED_BY(mutex_) = false;
  std::string last_key_ GUARDED_BY(mutex_);       // of the pages that were taken
  std::vector<Start> starts_ GUARDED_BY(mutex_);  // by index; of each so-many-th page that came
  size_t starts_bytes_ GUARDED_BY(mutex_) = 0;
  size_t start_each_ GUARDED_BY(mutex_) = 1;  // of so many pages
  size_t pages_until_start_ GUARDED_BY(mutex_) = 0;
  // Counts how often it was gone back: pages of an earlier pass are not for this one.
  uint64_t pass_ GUARDED_BY(mutex_) = 0;
  // Of a page; until the next call of Read nothing is fetched.
  std::optional<Error> error_ GUARDED_BY(mutex_);
  size_t reading_from_ GUARDED_BY(mutex_) = 0;   // what is before it has been read
  size_t wanted_ GUARDED_BY(mutex_) = 0;         // one past the furthest entry a reader took
  Deadline wanted_until_ GUARDED_BY(mutex_){};   // of all pages that are asked for
  size_t waiting_count_ GUARDED_BY(mutex_) = 0;  // of readers
  size_t came_count_ GUARDED_BY(mutex_) = 0;     // of pages, and how long they took in all
  Duration came_duration_ GUARDED_BY(mutex_){};
  bool taking_ GUARDED_BY(mutex_) = false;  // a thread is in TakePages
  bool ended_ GUARDED_BY(mutex_) = false;   // the last page was taken
};

}  // namespace shoal
