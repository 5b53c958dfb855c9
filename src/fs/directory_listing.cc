#include "fs/directory_listing.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
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
// If there is memory for so much of them, before they are packed.
constexpr uint64_t kSplitBytes = kFetchesMax * 512 * kKiB;

// Of more, every other one is forgotten: who goes back begins further back.
constexpr size_t kStartsMax = 512;

}  // namespace

size_t DirectoryListing::BytesOf(const Start& start) {
  size_t bytes = start.after.capacity() + start.held.capacity() * sizeof(ListedEntry);
  for (const ListedEntry& entry : start.held)
    bytes += entry.name.capacity() + entry.object.version.key.capacity() +
             entry.object.version.etag.capacity();
  return bytes;
}

DirectoryListing::DirectoryListing(ObjectStore& store, ThreadPool& pool, const Clock& clock,
                                   ListingMemory& memory, std::string prefix, Duration page_wait,
                                   ListingBegin begin, PageSeen page_seen)
    : store_(store),
      pool_(pool),
      clock_(clock),
      memory_(memory),
      prefix_(std::move(prefix)),
      page_wait_(page_wait),
      begin_(begin),
      page_seen_(std::move(page_seen)),
      ranges_(prefix_),
      merger_(prefix_),
      pages_(prefix_),
      share_(memory) {}

Result<std::vector<ListedEntry>> DirectoryListing::Read(size_t index, size_t count_max,
                                                        Deadline deadline) {
  const MutexLock lock(mutex_);
  error_.reset();
  reading_from_ = index;
  wanted_until_ = Deadline::After(clock_, page_wait_);
  ++waiting_count_;
  bool in_time = true;
  while (true) {
    if (index < pages_.begin_index()) GoBackTo(index);
    wanted_ = std::max(wanted_, index + 1);
    FetchAhead();
    if (pages_.end_index() > index || ended_ || error_ || !in_time) break;
    in_time = page_came_.WaitUntil(mutex_, deadline.at);
  }
  --waiting_count_;
  const size_t end = std::min(pages_.end_index(), index + count_max);
  if (index >= end) {
    if (error_) return tl::unexpected(*error_);
    if (!ended_) return Fail(Errc::kTimedOut, "listing '" + prefix_ + "'");
    return {};
  }
  std::vector<ListedEntry> out;
  out.reserve(end - index);
  for (size_t i = index; i < end; ++i) out.push_back(pages_.At(i));
  wanted_ = std::max(wanted_, end);
  FetchAhead();
  return out;
}

std::optional<DirectoryListing::Found> DirectoryListing::Find(std::string_view name) const {
  const MutexLock lock(mutex_);
  const std::optional<size_t> index = pages_.IndexOf(name);
  if (!index) return std::nullopt;
  return Found{pages_.At(*index), pages_.CameAt(*index)};
}

std::optional<size_t> DirectoryListing::IndexOf(std::string_view name) const {
  const MutexLock lock(mutex_);
  return pages_.IndexOf(name);
}

std::optional<ListedEntry> DirectoryListing::EntryAt(size_t index) const {
  const MutexLock lock(mutex_);
  if (index < pages_.begin_index() || index >= pages_.end_index()) return std::nullopt;
  return pages_.At(index);
}

bool DirectoryListing::complete() const {
  const MutexLock lock(mutex_);
  return ended_ && pages_.begin_index() == 0;
}

bool DirectoryListing::ended() const {
  const MutexLock lock(mutex_);
  return ended_;
}

size_t DirectoryListing::entry_count() const {
  const MutexLock lock(mutex_);
  return pages_.end_index();
}

size_t DirectoryListing::memory_bytes() const {
  const MutexLock lock(mutex_);
  return MemoryBytes();
}

size_t DirectoryListing::left_over_bytes() const {
  const MutexLock lock(mutex_);
  return kept_ || reader_count_ > 0 ? 0 : MemoryBytes();
}

std::shared_ptr<const void> DirectoryListing::NoteReader() {
  ++reader_count_;
  return {nullptr, [self = shared_from_this()](const void*) { --self->reader_count_; }};
}

void DirectoryListing::NoteKept(bool kept) {
  const MutexLock lock(mutex_);
  kept_ = kept;
  CountMemory();
}

size_t DirectoryListing::MemoryBytes() const {
  size_t bytes = sizeof(*this) + prefix_.capacity() + pages_.memory_bytes();
  return bytes + starts_.capacity() * sizeof(Start) + starts_bytes_ + ranges_.memory_bytes();
}

Instant DirectoryListing::last_page_came() const {
  const MutexLock lock(mutex_);
  return pages_.last_came().value_or(begin_.at);
}

uint64_t DirectoryListing::hidden_count() const {
  const MutexLock lock(mutex_);
  return merger_.hidden_count();
}

std::string DirectoryListing::hidden_example() const {
  const MutexLock lock(mutex_);
  return merger_.hidden_example();
}

bool DirectoryListing::IsSlow() const {
  return came_count_ >= kPagesBeforeSplit &&
         came_duration_ >= kSlowPage * static_cast<int64_t>(came_count_);
}

bool DirectoryListing::MaySplit() const {
  return IsSlow() && memory_.free_bytes() >= kSplitBytes;
}

bool DirectoryListing::IsToHoldLess() const {
  const bool makes_room_to_split = IsSlow() && memory_.bytes_max() >= 2 * kSplitBytes;
  return memory_.free_bytes() < (makes_room_to_split ? kSplitBytes : 1) &&
         MemoryBytes() > memory_.least_bytes();
}

void DirectoryListing::CountMemory() {
  share_.Set(kept_ ? 0 : MemoryBytes());
}

void DirectoryListing::FetchAhead() {
  const bool may_split = MaySplit();
  if (ended_ || error_ ||
      pages_.end_index() >= wanted_ + (may_split ? kEntriesAheadSplit : kEntriesAhead))
    return;
  const size_t fetches_max = may_split ? kFetchesMax : 1;
  const size_t fetching = ranges_.fetching_count();
  if (fetching >= fetches_max) return;
  for (ListingRanges::Fetch& fetch : ranges_.Begin(fetches_max - fetching, may_split))
    pool_.Run([self = shared_from_this(), pass = pass_, fetch = std::move(fetch)] {
      self->FetchPage(pass, fetch);
    });
}

Result<ListPage> DirectoryListing::AskFor(uint64_t pass, const ListingRanges::Fetch& fetch) {
  Deadline deadline;
  {
    const MutexLock lock(mutex_);
    if (pass != pass_) return Fail(Errc::kInterrupted, "it was gone back");
    deadline = wanted_until_;
  }
  if (deadline.Passed(clock_))
    return Fail(Errc::kTimedOut, "listing '" + prefix_ + "': its turn did not come in time");
  return store_.List(
      {.prefix = prefix_, .delimiter = "/", .from = fetch.from, .after = fetch.after}, deadline);
}

void DirectoryListing::FetchPage(uint64_t pass, const ListingRanges::Fetch& fetch) {
  const Instant asked = clock_.Now();
  Result<ListPage> page = AskFor(pass, fetch);
  const Instant now = clock_.Now();

  const MutexLock lock(mutex_);
  if (pass != pass_) return;
  if (!page) {
    ranges_.Failed(fetch.range_id);
    error_ = page.error();
  } else if (const Result<> came = ranges_.Came(fetch.range_id, *std::move(page), now); !came) {
    error_ = Error{came.error().code, fmt::format("ListObjects '{}': answered wrongly: {}",
                                                  log::Printable(prefix_), came.error().detail)};
  } else {
    ++came_count_;
    came_duration_ += now - asked;
    const bool brought_any = TakePages();
    CountMemory();
    // Pages that bring nothing are fetched while somebody waits for more, not for ever.
    if (brought_any || waiting_count_ > 0 || ranges_.waiting_page_count() > 0) FetchAhead();
  }
  page_came_.NotifyAll();
}

bool DirectoryListing::TakePages() {
  if (taking_) return false;  // who is at it will find these pages, too
  taking_ = true;
  uint64_t pass = pass_;
  bool brought_any = false;
  while (std::optional<ListingRanges::Arrived> arrived = ranges_.TakeNext()) {
    const bool is_last = !arrived->page.next;
    Start start{.index = pages_.end_index(), .after = last_key_, .held = merger_.held()};
    const std::vector<ListedEntry> brought = merger_.Add(std::move(arrived->page));
    if (page_seen_ && !brought.empty()) {
      mutex_.Unlock();
      page_seen_(brought);
      mutex_.Lock();
      if (std::exchange(pass, pass_) != pass_) continue;  // to the pages of the new pass
    }
    if (!arrived->last_key.empty()) last_key_ = std::move(arrived->last_key);
    if (!brought.empty()) AddPage(brought, arrived->came, std::move(start));
    brought_any = brought_any || !brought.empty();
    ended_ = is_last;
    page_came_.NotifyAll();
  }
  taking_ = false;
  if (ended_ && pages_.begin_index() == 0) {  // whole, so nobody goes back
    std::vector<Start>().swap(starts_);
    starts_bytes_ = 0;
  }
  return brought_any;
}

void DirectoryListing::AddPage(std::span<const ListedEntry> entries, Instant came, Start start) {
  pages_.Add(entries, came);
  if (pages_until_start_ == 0) {
    AddStart(std::move(start));
    pages_until_start_ = start_each_;
  }
  --pages_until_start_;
  CountMemory();
  while (IsToHoldLess() && pages_.page_count() > 1 && pages_.first_page_end() <= reading_from_) {
    pages_.DropFirst();
    CountMemory();
  }
}

void DirectoryListing::AddStart(Start start) {
  starts_bytes_ += BytesOf(start);
  starts_.push_back(std::move(start));
  if (starts_.size() <= kStartsMax) return;
  std::vector<Start> fewer;
  starts_bytes_ = 0;
  for (size_t i = 0; i < starts_.size(); i += 2) {
    starts_bytes_ += BytesOf(starts_[i]);
    fewer.push_back(std::move(starts_[i]));
  }
  starts_ = std::move(fewer);
  start_each_ *= 2;
}

void DirectoryListing::GoBackTo(size_t index) {
  const auto after = std::ranges::upper_bound(starts_, index, {}, &Start::index);
  Start start = std::move(*std::prev(after));
  starts_.erase(std::prev(after), starts_.end());
  starts_bytes_ = 0;
  for (const Start& left : starts_) starts_bytes_ += BytesOf(left);
  pages_until_start_ = 0;
  ++pass_;
  pages_.Restart(start.index);
  merger_.GoOnWith(std::move(start.held));
  ranges_ = ListingRanges(prefix_, start.after);
  last_key_ = std::move(start.after);
  wanted_ = 0;
  error_.reset();
  ended_ = false;
  CountMemory();
}

}  // namespace shoal
