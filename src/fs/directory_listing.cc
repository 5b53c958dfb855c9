#include "fs/directory_listing.h"

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

// Entries fetched before they are asked for: two pages, as much as `ls` takes while the
// next request is on its way.
constexpr size_t kEntriesAhead = 2000;

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
      merger_(prefix_),
      entries_(prefix_) {}

Result<std::vector<ListedEntry>> DirectoryListing::Read(size_t index, size_t count_max,
                                                        Deadline deadline) {
  std::unique_lock lock(mutex_);
  error_.reset();
  wanted_ = std::max(wanted_, index + 1);
  FetchAhead();
  ++waiting_count_;
  const bool came = page_came_.wait_until(
      lock, deadline.at, [&] { return entries_.size() > index || complete_ || error_; });
  --waiting_count_;
  if (!came) return Fail(Errc::kTimedOut, "listing '" + prefix_ + "'");
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
  const std::unique_lock lock(mutex_);
  const std::optional<size_t> index = entries_.IndexOf(name);
  if (!index) return std::nullopt;
  const auto page = std::ranges::upper_bound(pages_, *index, {}, &Page::entry_end);
  return Found{entries_.At(*index), page->came};
}

bool DirectoryListing::complete() const {
  const std::unique_lock lock(mutex_);
  return complete_;
}

size_t DirectoryListing::entry_count() const {
  const std::unique_lock lock(mutex_);
  return entries_.size();
}

size_t DirectoryListing::memory_bytes() const {
  const std::unique_lock lock(mutex_);
  return sizeof(*this) + prefix_.capacity() + entries_.memory_bytes() +
         pages_.capacity() * sizeof(Page);
}

Instant DirectoryListing::last_page_came() const {
  const std::unique_lock lock(mutex_);
  return pages_.empty() ? begin_.at : pages_.back().came;
}

uint64_t DirectoryListing::hidden_count() const {
  const std::unique_lock lock(mutex_);
  return merger_.hidden_count();
}

std::string DirectoryListing::hidden_example() const {
  const std::unique_lock lock(mutex_);
  return merger_.hidden_example();
}

void DirectoryListing::FetchAhead() {
  if (complete_ || fetching_ || entries_.size() >= wanted_ + kEntriesAhead) return;
  fetching_ = true;
  pool_.Run([self = shared_from_this()] { self->FetchPage(); });
}

void DirectoryListing::FetchPage() {
  ListQuery query{.prefix = prefix_, .delimiter = "/", .from = {}};
  {
    const std::unique_lock lock(mutex_);
    query.from = next_;
  }
  Result<ListPage> page = store_.List(query, Deadline::After(clock_, page_wait_));
  if (page && page->next && page->next == query.from)
    page = Fail(Errc::kUnreachable, "ListObjects '" + prefix_ + "': the same page came twice");

  std::vector<ListedEntry> brought;
  std::unique_lock lock(mutex_);
  if (page) {
    next_ = page->next;
    brought = merger_.Add(*std::move(page));
    if (page_seen_ && !brought.empty()) {
      lock.unlock();
      page_seen_(brought);
      lock.lock();
    }
    for (const ListedEntry& entry : brought) entries_.Add(entry);
    complete_ = !next_;
    if (!brought.empty() || complete_) pages_.push_back({entries_.size(), clock_.Now()});
    if (complete_) entries_.ShrinkToFit();
  } else {
    error_ = page.error();
  }
  fetching_ = false;
  // Pages that bring nothing are fetched while somebody waits for more, not for ever.
  if (page && (!brought.empty() || waiting_count_ > 0)) FetchAhead();
  page_came_.notify_all();
}

}  // namespace shoal
