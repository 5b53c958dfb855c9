// From the pages of a listing without delimiter to the objects that a mount shows as files.
// Pure. docs/semantics.md states the rules; fs/listing_merger.h does the same for one directory.
#pragma once

#include <string>
#include <vector>

#include "origin/object_store.h"

namespace shoal {

// A file is held back until the listing has passed "name/", because a directory of the same
// name, which may come pages later, shows in its place. Copies go on by themselves.
class VisibleObjects {
 public:
  // `prefix`: "" or ending in "/"; all keys of the pages begin with it.
  explicit VisibleObjects(std::string prefix) : prefix_(std::move(prefix)) {}

  // The files that are certain now. Pages come in order; the last has no `next`.
  [[nodiscard]] std::vector<ObjectInfo> Add(ListPage page);

 private:
  [[nodiscard]] bool CanBeShown(const std::string& key) const;

  std::string prefix_;
  std::vector<ObjectInfo> held_;  // each a prefix of the next, so never more than a key is long
};

}  // namespace shoal
