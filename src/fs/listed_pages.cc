#include "fs/listed_pages.h"

#include <algorithm>

namespace shoal {

void ListedPages::Add(std::span<const ListedEntry> entries, Instant came) {
  pages_.push_back({.begin = end_, .came = came, .entries = PackedEntries(entries)});
  end_ += entries.size();
  entry_bytes_ += pages_.back().entries.memory_bytes();
}

void ListedPages::DropFirst() {
  entry_bytes_ -= pages_.front().entries.memory_bytes();
  pages_.erase(pages_.begin());
}

void ListedPages::Restart(size_t index) {
  pages_.clear();
  entry_bytes_ = 0;
  end_ = index;
}

std::optional<Instant> ListedPages::last_came() const {
  if (pages_.empty()) return std::nullopt;
  return pages_.back().came;
}

ListedEntry ListedPages::At(size_t index) const {
  const Page& page = PageOf(index);
  return page.entries.At(index - page.begin, prefix_);
}

std::optional<size_t> ListedPages::IndexOf(std::string_view name) const {
  const auto after = std::ranges::upper_bound(
      pages_, name, ListedBefore, [](const Page& page) { return page.entries.NameAt(0); });
  if (after == pages_.begin()) return std::nullopt;
  const Page& page = *std::prev(after);
  const std::optional<size_t> index = page.entries.IndexOf(name);
  if (!index) return std::nullopt;
  return page.begin + *index;
}

const ListedPages::Page& ListedPages::PageOf(size_t index) const {
  return *std::prev(std::ranges::upper_bound(pages_, index, {}, &Page::begin));
}

}  // namespace shoal
