#include "fs/directory_listing.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"

namespace shoal {
namespace {

// Entries fetched before they are asked for: two pages, as much as `ls` takes while the
// next request is on its way.
constexpr size_t kEntriesAhead = 2000;

// A listing is split if it has been more than so many pages, and these took so long that
// asking for several at once is worth the pages that cutting it up costs.
constexpr size_t kPagesBeforeSplit = 8;
constexpr Duration kSlowPage = std::chrono::milliseconds(40);
// Then so many are on their way at once, and so many entries ahead of the reader.
constexpr size_t kFetchesMax = 16;
constexpr size_t kEntriesAheadSplit = 64'000;

}  // namespace

DirectoryListing::DirectoryListing(ObjectStore& store, ThreadPool& pool, const Clock& clock,
                                   std::string prefix, Duration page_wait, ListingBegin begin,
                                   PageSeen page_seen)
    : store_(store),
      pool_(pool),
      clock_(clock),
      prefix_(std::move(prefix)),
      page_wait_(page_wait),
      begin_(begin),
      page_seen_(std::move(page_seen)),
      ranges_(prefix_),
      merger_(prefix_),
      entries_(prefix_) {}

Result<std::vector<ListedEntry>> DirectoryListing::Read(size_t index, size_t count_max,
                                                        Deadline deadline) {
  const MutexLock lock(mutex_);
  error_.reset();
  wanted_ = std::max(wanted_, index + 1);
  wanted_until_ = Deadline::After(clock_, page_wait_);
  FetchAhead();
  ++waiting_count_;
  const auto came = [&]()
                        REQUIRES(mutex_) { return entries_.size() > index || complete_ || error_; };
  while (!came() && page_came_.WaitUntil(mutex_, deadline.at)) continue;
  --waiting_count_;
  if (!came()) return Fail(Errc::kTimedOut, "listing '" + prefix_ + "'");
  if (entries_.size() <= index && error_) return tl::unexpected(*error_);
  std::vector<ListedEntry> out;
  const size_t end = std::min(entries_.size(), index + count_max);
  if (index < end) out.reserve(end - index);
  for (size_t i = index; i < end; ++i) out.push_back(entries_.At(i));
  wanted_ = std::max(wanted_, end);
  FetchAhead();
  return out;
}

std::optional<DirectoryListing::Found> DirectoryListing::Find(std::string_view name) const {
  const MutexLock lock(mutex_);
  const std::optional<size_t> index = entries_.IndexOf(name);
  if (!index) return std::nullopt;
  const auto page = std::ranges::upper_bound(pages_, *index, {}, &Page::entry_end);
  return Found{entries_.At(*index), page->came};
}

std::optional<size_t> DirectoryListing::IndexOf(std::string_view name) const {
  const MutexLock lock(mutex_);
  return entries_.IndexOf(name);
}

std::optional<ListedEntry> DirectoryListing::EntryAt(size_t index) const {
  const MutexLock lock(mutex_);
  if (index >= entries_.size()) return std::nullopt;
  return entries_.At(index);
}

bool DirectoryListing::complete() const {
  const MutexLock lock(mutex_);
  return complete_;
}

size_t DirectoryListing::entry_count() const {
  const MutexLock lock(mutex_);
  return entries_.size();
}

size_t DirectoryListing::memory_bytes() const {
  const MutexLock lock(mutex_);
  return sizeof(*this) + prefix_.capacity() + entries_.memory_bytes() +
         pages_.capacity() * sizeof(Page);
}

Instant DirectoryListing::last_page_came() const {
  const MutexLock lock(mutex_);
  return pages_.empty() ? begin_.at : pages_.back().came;
}

uint64_t DirectoryListing::hidden_count() const {
  const MutexLock lock(mutex_);
  return merger_.hidden_count();
}

std::string DirectoryListing::hidden_example() const {
  const MutexLock lock(mutex_);
  return merger_.hidden_example();
}

bool DirectoryListing::MaySplit() const {
  return came_count_ >= kPagesBeforeSplit &&
         came_duration_ >= kSlowPage * static_cast<int64_t>(came_count_);
}

void DirectoryListing::FetchAhead() {
  const bool may_split = MaySplit();
  if (complete_ || error_ ||
      entries_.size() >= wanted_ + (may_split ? kEntriesAheadSplit : kEntriesAhead))
    return;
  const size_t fetches_max = may_split ? kFetchesMax : 1;
  const size_t fetching = ranges_.fetching_count();
  if (fetching >= fetches_max) return;
  for (ListingRanges::Fetch& fetch : ranges_.Begin(fetches_max - fetching, may_split))
    pool_.Run([self = shared_from_this(), fetch = std::move(fetch)] { self->FetchPage(fetch); });
}

Result<ListPage> DirectoryListing::AskFor(const ListingRanges::Fetch& fetch) {
  Deadline deadline;
  {
    const MutexLock lock(mutex_);
    deadline = wanted_until_;
  }
  if (deadline.Passed(clock_))
    return Fail(Errc::kTimedOut, "listing '" + prefix_ + "': its turn did not come in time");
  return store_.List(
      {.prefix = prefix_, .delimiter = "/", .from = fetch.from, .after = fetch.after}, deadline);
}

void DirectoryListing::FetchPage(const ListingRanges::Fetch& fetch) {
  const Instant asked = clock_.Now();
  Result<ListPage> page = AskFor(fetch);
  const Instant now = clock_.Now();

  const MutexLock lock(mutex_);
  if (!page) {
    ranges_.Failed(fetch.range_id);
    error_ = page.error();
  } else if (const Result<> came = ranges_.Came(fetch.range_id, *std::move(page), now); !came) {
    error_ = Error{came.error().code, fmt::format("ListObjects '{}': answered wrongly: {}",
                                                  log::Printable(prefix_), came.error().detail)};
  } else {
    ++came_count_;
    came_duration_ += now - asked;
    // Pages that bring nothing are fetched while somebody waits for more, not for ever.
    if (TakePages() || waiting_count_ > 0 || ranges_.waiting_page_count() > 0) FetchAhead();
  }
  page_came_.NotifyAll();
}

bool DirectoryListing::TakePages() {
  if (taking_) return false;  // who is at it will find these pages, too
  taking_ = true;
  bool brought_any = false;
  while (std::optional<ListingRanges::Arrived> arrived = ranges_.TakeNext()) {
    const bool is_last = !arrived->page.next;
    const std::vector<ListedEntry> brought = merger_.Add(std::move(arrived->page));
    if (page_seen_ && !brought.empty()) {
      mutex_.Unlock();
      page_seen_(brought);
      mutex_.Lock();
    }
    for (const ListedEntry& entry : brought) entries_.Add(entry);
    if (!brought.empty()) pages_.push_back({entries_.size(), arrived->came});
    brought_any = brought_any || !brought.empty();
    if (is_last) {
      complete_ = true;
      entries_.ShrinkToFit();
    }
    page_came_.NotifyAll();
  }
  taking_ = false;
  return brought_any;
}

}  // namespace shoal
