// What is held of a listing: its entries, page by page, from some entry on. Those before it were
// let go of; all keep their indices.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "fs/packed_entries.h"

namespace shoal {

class ListedPages {
 public:
  // `prefix` of the directory.
  explicit ListedPages(std::string prefix) : prefix_(std::move(prefix)) {}

  // REQUIRES: not empty, in the order of ListedBefore, and after what is here.
  void Add(std::span<const ListedEntry> entries, Instant came);
  // Lets go of the first page. REQUIRES: there is one.
  void DropFirst();
  // Lets go of all; the next page begins at `index`.
  void Restart(size_t index);

  // Of the first entry that is held, and one past the last that came.
  [[nodiscard]] size_t begin_index() const { return pages_.empty() ? end_ : pages_.front().begin; }
  [[nodiscard]] size_t end_index() const { return end_; }
  [[nodiscard]] size_t page_count() const { return pages_.size(); }
  // One past the last entry of the first page. REQUIRES: there is one.
  [[nodiscard]] size_t first_page_end() const {
    return pages_.front().begin + pages_.front().entries.size();
  }
  // When the last page came; empty: none is held.
  [[nodiscard]] std::optional<Instant> last_came() const;

  // REQUIRES, of both: begin_index() <= index < end_index().
  [[nodiscard]] ListedEntry At(size_t index) const;
  [[nodiscard]] Instant CameAt(size_t index) const { return PageOf(index).came; }
  // Empty: none that is held has this name.
  [[nodiscard]] std::optional<size_t> IndexOf(std::string_view name) const;

  // Of the heap.
  [[nodiscard]] size_t memory_bytes() const {
    return entry_bytes_ + pages_.capacity() * sizeof(Page);
  }

 private:
  struct Page {
    size_t begin;
    Instant came;
    PackedEntries entries;
  };
  [[nodiscard]] const Page& PageOf(size_t index) const;

  std::string prefix_;
  std::vector<Page> pages_;
  size_t end_ = 0;
  size_t entry_bytes_ = 0;
};

}  // namespace shoal
