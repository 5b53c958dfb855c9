#include "base/resolve_links.h"

#include <filesystem>
#include <list>
#include <system_error>
#include <utility>

namespace shoal {
namespace {

constexpr int kLinksMax = 40;

std::list<std::string> PartsOf(const std::filesystem::path& path) {
  std::list<std::string> parts;
  for (const auto& part : path)
    if (!part.empty() && part != "/" && part != ".") parts.push_back(part);
  return parts;
}

}  // namespace

bool IsIn(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

std::string ResolveLinks(const std::string& path,
                         const std::function<bool(const std::string&)>& ends_at) {
  std::list<std::string> rest = PartsOf(path);
  std::string done;
  std::string end;
  for (int link_count = 0; !rest.empty();) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part == "..") {
      done.erase(done.empty() ? 0 : done.rfind('/'));
      continue;
    }
    const std::string next = done + "/" + part;
    const bool is_beyond = !end.empty() && IsIn(next, end);
    if (!is_beyond && ends_at(next)) end = next;
    std::error_code is_none;
    const auto target = is_beyond || end == next || link_count == kLinksMax
                            ? std::filesystem::path()
                            : std::filesystem::read_symlink(next, is_none);
    if (target.empty()) {
      done = next;
      continue;
    }
    ++link_count;
    if (target.is_absolute()) done.clear();
    rest.splice(rest.begin(), PartsOf(target));
  }
  return done.empty() ? "/" : done;
}

}  // namespace shoal
