#include "fs/listing_merger.h"

#include <algorithm>
#include <utility>

namespace shoal {
namespace {

// FUSE_NAME_MAX: the kernel refuses a whole READDIR answer over one longer name.
constexpr size_t kNameBytesMax = 1024;

}  // namespace

bool IsPathComponent(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= kNameBytesMax &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool ListedBefore(std::string_view a, std::string_view b) {
  const size_t common = std::min(a.size(), b.size());
  if (const int order = a.substr(0, common).compare(b.substr(0, common)); order != 0)
    return order < 0;
  const auto at = [common](std::string_view name) {
    return static_cast<unsigned char>(name.size() > common ? name[common] : '/');
  };
  return at(a) < at(b);
}

std::vector<ListedEntry> ListingMerger::Add(ListPage page) {
  std::vector<ListedEntry> out;
  out.reserve(page.objects.size() + page.common_prefixes.size());
  // Both lists are sorted; taking the smaller head of the two gives the order of the keys.
  size_t object = 0;
  size_t prefix = 0;
  while (object < page.objects.size() || prefix < page.common_prefixes.size()) {
    const bool take_object = prefix == page.common_prefixes.size() ||
                             (object < page.objects.size() &&
                              page.objects[object].version.key < page.common_prefixes[prefix]);
    if (take_object) {
      AddFile(std::move(page.objects[object++]), out);
    } else {
      AddDirectory(std::move(page.common_prefixes[prefix++]), out);
    }
  }
  if (!page.next) {
    std::move(held_.rbegin(), held_.rend(), std::back_inserter(out));
    held_.clear();
  }
  return out;
}

void ListingMerger::AddFile(ObjectInfo object, std::vector<ListedEntry>& out) {
  std::string name = object.version.key.substr(prefix_.size());
  if (name.empty()) return;  // the marker of this directory itself
  ReleasePassed(name, out);
  if (!IsPathComponent(name)) return Hide(std::move(object.version.key));
  held_.push_back({.name = std::move(name), .is_directory = false, .object = std::move(object)});
}

void ListingMerger::AddDirectory(std::string common_prefix, std::vector<ListedEntry>& out) {
  std::string name = common_prefix.substr(prefix_.size());
  ReleasePassed(name, out);
  name.pop_back();  // the delimiter
  if (!IsPathComponent(name)) return Hide(std::move(common_prefix));
  if (!held_.empty() && held_.back().name == name) held_.pop_back();
  out.push_back({.name = std::move(name), .is_directory = true, .object = {}});
}

void ListingMerger::ReleasePassed(std::string_view name, std::vector<ListedEntry>& out) {
  while (!held_.empty() && held_.back().name + "/" < name) {
    out.push_back(std::move(held_.back()));
    held_.pop_back();
  }
}

void ListingMerger::Hide(std::string key) {
  if (hidden_count_++ == 0) hidden_example_ = std::move(key);
}

}  // namespace shoal
