#include "fs/listing_ranges.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/log.h"

namespace shoal {
namespace {

// Pages that came before their turn, some 100 MB of them. Past that only the first range that
// is not done is asked for and cut, because it is what they wait for.
constexpr size_t kWaitingPagesMax = 256;

// A cut costs a page if it is a bad guess, and half a page if it is a good one.
constexpr double kPagesWorthACut = 8;

// Of a range without an end: worth as many guesses as may be made.
constexpr double kPagesUnknown = 1e9;

// Removes what is after `last`; whether there was any.
bool TrimTo(const std::string& last, ListPage& page) {
  const size_t count = page.objects.size() + page.common_prefixes.size();
  const auto object = std::ranges::upper_bound(
      page.objects, last, {}, [](const ObjectInfo& o) { return std::string_view(o.version.key); });
  page.objects.erase(object, page.objects.end());
  page.common_prefixes.erase(std::ranges::upper_bound(page.common_prefixes, last),
                             page.common_prefixes.end());
  return page.objects.size() + page.common_prefixes.size() < count;
}

std::string FirstKey(const ListPage& page) {
  if (page.objects.empty()) return page.common_prefixes.front();
  if (page.common_prefixes.empty()) return page.objects.front().version.key;
  return std::min(page.objects.front().version.key, page.common_prefixes.front());
}

size_t BytesOf(const ListPage& page) {
  size_t bytes = page.objects.size() * sizeof(ObjectInfo);
  for (const ObjectInfo& object : page.objects)
    bytes += object.version.key.capacity() + object.version.etag.capacity();
  for (const std::string& directory : page.common_prefixes)
    bytes += sizeof(directory) + directory.capacity();
  return bytes;
}

std::string LastKey(const ListPage& page) {
  if (page.objects.empty()) return page.common_prefixes.back();
  if (page.common_prefixes.empty()) return page.objects.back().version.key;
  return std::max(page.objects.back().version.key, page.common_prefixes.back());
}

}  // namespace

ListingRanges::ListingRanges(std::string prefix, std::string after) : prefix_(std::move(prefix)) {
  Range whole;
  whole.id = next_id_++;
  whole.after = std::move(after);
  ranges_.push_back(std::move(whole));
}

std::vector<ListingRanges::Fetch> ListingRanges::Begin(size_t count_max, bool may_split) {
  std::vector<Fetch> out;
  // The first ranges are the most urgent: they are asked for, and cut, before the others.
  for (auto range = ranges_.begin(); range != ranges_.end() && out.size() < count_max; ++range) {
    if (range->done) continue;
    if (!range->fetching) out.push_back(StartFetch(*range));
    if (may_split) Split(range, count_max - out.size(), out);
    if (waiting_page_count_ >= kWaitingPagesMax) break;
  }
  return out;
}

void ListingRanges::Split(Ranges::iterator range, size_t count_max, std::vector<Fetch>& out) {
  const double pages_worth_of_cuts = PagesLeft(*range) / kPagesWorthACut;
  const auto cut_count =
      static_cast<size_t>(std::min(static_cast<double>(count_max), pages_worth_of_cuts));
  if (cut_count == 0) return;
  std::optional<std::string> end;
  if (range->last) end = NameOf(*range->last);
  const std::vector<std::string> cuts =
      SplitNames(alphabet_, NameOf(range->begun_at), NameOf(range->seen), end, cut_count);
  const auto before = std::next(range);
  for (size_t i = 0; i < cuts.size(); ++i) {
    Range part;
    part.id = next_id_++;
    part.after = prefix_ + cuts[i];
    part.last = i + 1 < cuts.size() ? std::optional(prefix_ + cuts[i + 1]) : range->last;
    out.push_back(StartFetch(*ranges_.insert(before, std::move(part))));
  }
  if (!cuts.empty()) range->last = prefix_ + cuts.front();
}

double ListingRanges::PagesLeft(const Range& range) const {
  if (range.seen.empty()) return 0;  // nothing is known of it yet
  if (!range.last) return kPagesUnknown;
  const NameScale scale(alphabet_, NameOf(range.begun_at), std::string(NameOf(*range.last)));
  const double done = scale.PositionOf(NameOf(range.seen));
  return (1 - done) / std::max(done, 1e-9);
}

ListingRanges::Fetch ListingRanges::StartFetch(Range& range) {
  range.fetching = true;
  ++fetching_count_;
  return {.range_id = range.id, .from = range.from, .after = range.after};
}

Result<> ListingRanges::Check(const Range& range, const ListPage& page) {
  const auto wrong = [](std::string what) { return Fail(Errc::kUnreachable, std::move(what)); };
  if (page.next && page.next == range.from) return wrong("the same page came twice");
  if (page.objects.empty() && page.common_prefixes.empty()) return {};
  const auto key_of = [](const ObjectInfo& object) { return std::string_view(object.version.key); };
  // Not before the next: out of order, or the same once more.
  if (std::ranges::adjacent_find(page.objects, std::greater_equal{}, key_of) !=
          page.objects.end() ||
      std::ranges::adjacent_find(page.common_prefixes, std::greater_equal{}) !=
          page.common_prefixes.end())
    return wrong("its keys are out of order");
  const std::string first = FirstKey(page);
  if (first <= range.before())
    return wrong("'" + log::Printable(first) + "' comes after '" + log::Printable(range.before()) +
                 "'");
  return {};
}

Result<> ListingRanges::Came(uint64_t range_id, ListPage page, Instant now) {
  const auto range = std::ranges::find(ranges_, range_id, &Range::id);
  // Where a page ends inside of a directory, some S3-compatible stores begin the next with the
  // directory again.
  std::vector<std::string>& directories = page.common_prefixes;
  if (!directories.empty() && directories.front() == range->before())
    directories.erase(directories.begin());
  if (Result<> checked = Check(*range, page); !checked) {
    Failed(range_id);
    return checked;
  }
  range->fetching = false;
  --fetching_count_;
  range->from = page.next;
  range->done = !page.next;
  // It may have been split while the page was on its way.
  if (range->last && TrimTo(*range->last, page)) range->done = true;
  if (page.objects.empty() && page.common_prefixes.empty()) return {};
  for (const ObjectInfo& object : page.objects) alphabet_.Add(NameOf(object.version.key));
  for (const std::string& key : page.common_prefixes) alphabet_.Add(NameOf(key));
  range->begun_at = FirstKey(page);
  range->seen = LastKey(page);
  if (range->last && range->seen == *range->last) range->done = true;
  page.next = "";  // more may come
  arrived_bytes_ += BytesOf(page);
  range->pages.push_back({std::move(page), now, range->seen});
  if (range != ranges_.begin()) ++waiting_page_count_;
  return {};
}

void ListingRanges::Failed(uint64_t range_id) {
  std::ranges::find(ranges_, range_id, &Range::id)->fetching = false;
  --fetching_count_;
}

std::optional<ListingRanges::Arrived> ListingRanges::TakeNext() {
  if (ended_) return std::nullopt;
  Arrived next{.page = {}, .came = newest_taken_, .last_key = {}};
  if (!ranges_.front().pages.empty()) {
    next = std::move(ranges_.front().pages.front());
    arrived_bytes_ -= BytesOf(next.page);
    ranges_.front().pages.pop_front();
    newest_taken_ = next.came;
  } else if (!ranges_.front().done) {
    return std::nullopt;
  }
  // So that what is left begins with a page, or one to wait for, if anything is left.
  const bool has_page = next.page.next.has_value();
  while (ranges_.front().done && ranges_.front().pages.empty()) {
    ranges_.pop_front();
    if (ranges_.empty()) {
      ended_ = true;
      next.page.next.reset();
      return next;
    }
    waiting_page_count_ -= ranges_.front().pages.size();
  }
  if (has_page) return next;
  return TakeNext();
}

}  // namespace shoal
