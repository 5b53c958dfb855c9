#include "testing/origin_key_index.h"

#include <fcntl.h>

#include <algorithm>
#include <ctime>

namespace shoal::embedded {
namespace {

// At the limit everything is forgotten and read again as it is asked for.
constexpr size_t kNameCountMax = 4'000'000;
// Several times the slowest kernel tick.
constexpr int64_t kSettlingTimeNs = 50'000'000;

// File times come from this clock, so it and not base/clock.h is the one to compare with.
int64_t FileTimeNowNs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

void KeyIndex::AddAside(std::string_view key) {
  const MutexLock lock(mutex_);
  aside_.emplace(key);
}
void KeyIndex::RemoveAside(const std::string& key) {
  const MutexLock lock(mutex_);
  aside_.erase(key);
}
bool KeyIndex::HasAside(std::string_view key) const {
  const MutexLock lock(mutex_);
  return aside_.contains(key);
}

Result<std::shared_ptr<const std::vector<std::string>>> KeyIndex::NamesOf(
    const std::string& directory) {
  const auto none =
      [](const Error& error) -> Result<std::shared_ptr<const std::vector<std::string>>> {
    if (IsMissing(error)) return std::make_shared<const std::vector<std::string>>();
    return tl::unexpected(error);
  };
  const std::string path = directory.substr(0, directory.empty() ? 0 : directory.size() - 1);
  const auto opened = files_.OpenAt(path, O_PATH | O_DIRECTORY);
  if (!opened) return none(opened.error());
  const auto status = StatusOf(*opened);
  if (!status) return none(status.error());
  const FileStamp stamp = FileStamp::Of(*status);
  {
    const MutexLock lock(mutex_);
    const auto known = directories_.find(directory);
    if (known != directories_.end() && known->second.settled && known->second.stamp == stamp)
      return known->second.names;
  }
  const bool settled = FileTimeNowNs() - stamp.modified_ns > kSettlingTimeNs;
  const auto entries = files_.List(path);
  if (!entries) return none(entries.error());
  std::vector<std::string> sorted;
  sorted.reserve(entries->size());
  for (const DirectoryEntry& entry : *entries) {
    if (directory.empty() && entry.name == hidden_) continue;
    sorted.push_back(entry.is_directory ? entry.name + '/' : entry.name);
  }
  std::ranges::sort(sorted);
  auto names = std::make_shared<const std::vector<std::string>>(std::move(sorted));
  const MutexLock lock(mutex_);
  name_count_ += names->size() + 1;
  if (name_count_ > kNameCountMax) {
    directories_.clear();
    name_count_ = names->size() + 1;
  }
  Directory& kept = directories_[directory];
  if (kept.names) name_count_ -= kept.names->size() + 1;
  kept = {names, stamp, settled};
  return names;
}

const std::vector<std::string>& KeyIndex::Cursor::NamesOf(const std::string& directory) {
  Names& names = seen_[directory];
  if (!names) {
    auto read = index_.NamesOf(directory);
    if (!read) trouble_ = read.error();
    names = read ? *std::move(read) : std::make_shared<const std::vector<std::string>>();
  }
  return *names;
}

std::optional<std::string> KeyIndex::Cursor::InDirectory(const std::string& directory,
                                                         std::string_view from) {
  const std::vector<std::string>& names = NamesOf(directory);
  // "a/x" is looked for in the directory "a/", if there is one; everything else that sorts
  // after "a/" sorts after "a/x" too.
  const size_t slash = from.find('/');
  const std::string_view first = from.substr(0, slash == from.npos ? slash : slash + 1);
  auto name = std::lower_bound(names.begin(), names.end(), first);
  for (; name != names.end(); ++name) {
    if (!name->ends_with('/')) return directory + *name;
    const std::string_view rest = *name == first ? from.substr(first.size()) : "";
    if (auto key = InDirectory(directory + *name, rest)) return key;
  }
  return std::nullopt;
}

std::optional<std::string> KeyIndex::Cursor::AtOrAfter(std::string_view from) {
  std::optional<std::string> key = InDirectory("", from);
  if (trouble_) return std::nullopt;
  const MutexLock lock(index_.mutex_);
  const auto aside = index_.aside_.lower_bound(from);
  if (aside != index_.aside_.end() && (!key || *aside < *key)) return *aside;
  return key;
}

}  // namespace shoal::embedded
