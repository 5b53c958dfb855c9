// Which pages of a listing to ask for next, and which that came are next in order.
//
// A listing is one range of keys, asked for page by page. Once it may be split, ranges are
// cut at guessed names (name_splitter.h) and asked for side by side. The first page of a new
// range shows whether the guess was good: a range without keys is done at once, and has
// told where its neighbour ends. Cuts have no '/' after the directory's prefix, so that all
// keys below one common prefix lie in one range, and no common prefix is listed in two.
// Pure: no clock, lock or I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fs/name_splitter.h"
#include "origin/object_store.h"

namespace shoal {

class ListingRanges {
 public:
  struct Fetch {
    uint64_t range_id;
    std::optional<std::string> from;  // as in ListQuery
    std::string after;
  };
  struct Arrived {
    ListPage page;  // the last of the listing, and it alone, has no `next`
    Instant came;
    std::string last_key;  // empty where it brought none
  };

  // `prefix` of the directory: "" or ending in "/". Keys after `after` alone.
  explicit ListingRanges(std::string prefix, std::string after = "");

  // At most `count_max` more pages to ask for. A page for each is given to Came or Failed.
  std::vector<Fetch> Begin(size_t count_max, bool may_split);
  // kUnreachable, saying what is wrong: the page is not in order, or not after what its range
  // has had, and a listing of such pages need not end. It counts as failed, then.
  Result<> Came(uint64_t range_id, ListPage page, Instant now);
  // The same page will be among the next to ask for.
  void Failed(uint64_t range_id);

  // The next page in the order of keys, if it has come; nothing after the last, which is
  // empty where it shows only then that there were no more.
  std::optional<Arrived> TakeNext();

  [[nodiscard]] size_t fetching_count() const { return fetching_count_; }
  // Of pages that came before their turn.
  [[nodiscard]] size_t waiting_page_count() const { return waiting_page_count_; }
  // Of all pages that came and were not taken yet.
  [[nodiscard]] size_t memory_bytes() const { return arrived_bytes_; }

 private:
  struct Range {
    uint64_t id = 0;
    std::string after;                // keys after this
    std::optional<std::string> last;  // and no further; empty: to the end
    std::string begun_at;             // the first and the last key of the newest page
    std::string seen;
    std::optional<std::string> from;
    std::deque<Arrived> pages;  // not taken yet
    bool fetching = false;
    bool done = false;

    // All keys that it is still to bring are after this.
    [[nodiscard]] const std::string& before() const { return seen.empty() ? after : seen; }
  };
  using Ranges = std::list<Range>;

  Fetch StartFetch(Range& range);
  [[nodiscard]] static Result<> Check(const Range& range, const ListPage& page);
  void Split(Ranges::iterator range, size_t count_max, std::vector<Fetch>& out);
  // How many pages the range may still have, judged from how far the newest one went.
  [[nodiscard]] double PagesLeft(const Range& range) const;
  [[nodiscard]] std::string_view NameOf(const std::string& key) const {
    return std::string_view(key).substr(prefix_.size());
  }

  std::string prefix_;
  NameAlphabet alphabet_;
  Ranges ranges_;  // in the order of keys
  uint64_t next_id_ = 0;
  size_t fetching_count_ = 0;
  size_t waiting_page_count_ = 0;  // in all ranges but the first
  size_t arrived_bytes_ = 0;
  bool ended_ = false;  // the last page was taken
  Instant newest_taken_{};
};

}  // namespace shoal
