#include "fs/directory_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "fs/inode_table.h"

namespace shoal {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the digits that `text` begins with, without zeros that mean nothing.
std::string_view TakeNumber(std::string_view& text) {
  const size_t zeros = std::min(text.find_first_not_of('0'), text.size());
  text.remove_prefix(zeros);
  const auto end = std::ranges::find_if_not(text, IsDigit);
  const std::string_view number = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(number.size());
  return number;
}

// Indices of the entries, as `key_of` them is in order.
template <class KeyOf, class Less = std::ranges::less>
std::vector<uint32_t> Sorted(const DirectoryListing& listing, KeyOf key_of, Less less = {}) {
  std::vector<decltype(key_of(std::declval<const ListedEntry&>()))> keys;
  keys.reserve(listing.entry_count());
  while (const std::optional<ListedEntry> entry = listing.EntryAt(keys.size()))
    keys.push_back(key_of(*entry));
  std::vector<uint32_t> index_of(keys.size());
  std::iota(index_of.begin(), index_of.end(), 0);
  std::ranges::stable_sort(
      index_of, less, [&](uint32_t index) -> auto& { return keys[index]; });
  return index_of;
}

}  // namespace

DirectoryOrder::DirectoryOrder(std::vector<uint32_t> index_of)
    : index_of_(std::move(index_of)), place_of_(index_of_.size()) {
  for (uint32_t place = 0; place < index_of_.size(); ++place) place_of_[index_of_[place]] = place;
}

DirectoryOrder DirectoryOrder::ByInode(const DirectoryListing& listing) {
  return DirectoryOrder(Sorted(listing, [&](const ListedEntry& entry) {
    return entry.is_directory ? InodeTable::NumberOf(listing.prefix() + entry.name + "/")
                              : InodeTable::NumberOf(entry.object);
  }));
}

DirectoryOrder DirectoryOrder::ByNumber(const DirectoryListing& listing) {
  return DirectoryOrder(Sorted(
      listing, [](const ListedEntry& entry) { return entry.name; }, NumbersLess));
}

bool NumbersLess(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (IsDigit(a.front()) && IsDigit(b.front())) {
      const std::string_view left = TakeNumber(a);
      const std::string_view right = TakeNumber(b);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (a.front() != b.front())
      return static_cast<unsigned char>(a.front()) < static_cast<unsigned char>(b.front());
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.empty() && !b.empty();
}

}  // namespace shoal
