// From the pages of a ListObjects with delimiter "/" to the entries of one directory.
// Pure: no clock, lock or I/O. docs/semantics.md states the rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "origin/object_store.h"

namespace shoal {

struct ListedEntry {
  std::string name;
  bool is_directory = false;
  ObjectInfo object;  // of a file; version.key is the whole key
};

// Whether `name` can be one component of a path: not empty, "." or "..", no '/' and no
// NUL in it, and no longer than the kernel takes.
[[nodiscard]] bool IsPathComponent(std::string_view name);

// The order in which a listing has its entries: that of the keys that directories of these
// names would have, "a/" after "a!/". REQUIRES: path components.
[[nodiscard]] bool ListedBefore(std::string_view a, std::string_view b);

// A file is held back until the listing has passed "name/", because a directory of the
// same name, which may come pages later, shows in its place.
class ListingMerger {
 public:
  // `prefix`: "" or ending in "/"; all keys of the pages begin with it.
  explicit ListingMerger(std::string prefix) : prefix_(std::move(prefix)) {}

  // The entries that are certain now, each name once, in the order of ListedBefore. Pages come in
  // order; the last has no `next`.
  [[nodiscard]] std::vector<ListedEntry> Add(ListPage page);

  // What is not certain yet. With it, the pages may be given once more from here on.
  [[nodiscard]] const std::vector<ListedEntry>& held() const { return held_; }
  void GoOnWith(std::vector<ListedEntry> held) { held_ = std::move(held); }

  // Keys met so far that no path can name.
  [[nodiscard]] uint64_t hidden_count() const { return hidden_count_; }
  // One of them, for the log.
  [[nodiscard]] const std::string& hidden_example() const { return hidden_example_; }

 private:
  void AddFile(ObjectInfo object, std::vector<ListedEntry>& out);
  void AddDirectory(std::string common_prefix, std::vector<ListedEntry>& out);
  void ReleasePassed(std::string_view name, std::vector<ListedEntry>& out);
  void Hide(std::string key);

  const std::string prefix_;
  std::vector<ListedEntry> held_;  // each a prefix of the next, so never more than a key is long
  uint64_t hidden_count_ = 0;
  std::string hidden_example_;
};

}  // namespace shoal
