#include "control/visible_objects.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "fs/listing_merger.h"

namespace shoal {

std::vector<ObjectInfo> VisibleObjects::Add(ListPage page) {
  std::vector<ObjectInfo> visible;
  visible.reserve(page.objects.size());
  for (ObjectInfo& object : page.objects) {
    const std::string& key = object.version.key;
    std::erase_if(held_, [&](ObjectInfo& held) {
      const std::string directory = held.version.key + "/";
      if (key.starts_with(directory)) return true;
      if (key < directory) return false;
      visible.push_back(std::move(held));
      return true;
    });
    if (CanBeShown(key)) held_.push_back(std::move(object));
  }
  if (!page.next) {
    std::ranges::move(held_, std::back_inserter(visible));
    held_.clear();
  }
  return visible;
}

// Not the marker of a directory, and every part of it a name.
bool VisibleObjects::CanBeShown(const std::string& key) const {
  std::string_view rest = std::string_view(key).substr(prefix_.size());
  while (true) {
    const size_t slash = rest.find('/');
    if (!IsPathComponent(rest.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace shoal
