#include "cache/directory_list.h"

#include <algorithm>
#include <utility>

namespace shoal {

Result<std::vector<std::string>> SplitDirectoryList(std::string_view text) {
  std::vector<std::string> directories;
  while (!text.empty()) {
    const size_t colon = std::min(text.find(':'), text.size());
    std::string directory(text.substr(0, colon));
    text.remove_prefix(std::min(colon + 1, text.size()));
    if (directory.empty()) continue;
    if (!directory.starts_with('/'))
      return Fail(Errc::kInvalid, "g_tier_DadiDiskCachePath: '" + directory +
                                      "' is not an absolute path, which begins with /");
    if (!directory.ends_with('/')) directory += '/';
    directories.push_back(std::move(directory));
  }
  return directories;
}

}  // namespace shoal
