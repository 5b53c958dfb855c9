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
                                   std::string prefix, Duration page_wait)
    : store_(store),
      pool_(pool),
      clock_(clock),
      prefix_(std::move(prefix)),
      page_wait_(page_wait),
      merger_(prefix_) {}

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
  for (size_t i = index; i < end; ++i) out.push_back(entries_[i]);
  wanted_ = std::max(wanted_, end);
  FetchAhead();
  return out;
}

std::optional<DirectoryListing::Found> DirectoryListing::Find(std::string_view name) const {
  const std::unique_lock lock(mutex_);
  const auto place = names_.find(name);
  if (place == names_.end()) return std::nullopt;
  return Found{entries_[place->second.index], place->second.as_of};
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

  const std::unique_lock lock(mutex_);
  fetching_ = false;
  if (page) {
    next_ = page->next;
    complete_ = !next_;
    const size_t count_before = entries_.size();
    const Instant as_of = clock_.Now();
    for (ListedEntry& entry : merger_.Add(*std::move(page))) {
      entries_.push_back(std::move(entry));
      names_[entries_.back().name] = {static_cast<uint32_t>(entries_.size() - 1), as_of};
    }
    // Pages that bring nothing are fetched while somebody waits for more, not for ever.
    if (entries_.size() > count_before || waiting_count_ > 0) FetchAhead();
  } else {
    error_ = page.error();
  }
  page_came_.notify_all();
}

}  // namespace shoal
