#include "app/cache_places.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <climits>
#include <filesystem>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cache/directory_list.h"

namespace shoal {
namespace {

constexpr std::chrono::seconds kAnswerMax{1};
constexpr int kLinksMax = 40;  // as the kernel

bool IsIn(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

std::list<std::string> PartsOf(std::string_view path) {
  std::list<std::string> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

// Where it leads. Not realpath(3), which would look into the mount.
std::string Resolve(const std::string& path, const std::string& mount_point) {
  std::list<std::string> rest = PartsOf(path);
  std::string done;
  for (int links = 0; !rest.empty();) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part == ".") continue;
    if (part == "..") {
      done.erase(std::min(done.rfind('/'), done.size()));
      continue;
    }
    const std::string next = done + "/" + part;
    std::array<char, PATH_MAX> target{};
    const ssize_t length =
        IsIn(next, mount_point) ? -1 : readlink(next.c_str(), target.data(), target.size());
    if (length < 0 || ++links > kLinksMax) {  // no link, or it does not matter here
      done = next;
      continue;
    }
    if (target.front() == '/') done.clear();
    rest.splice(rest.begin(), PartsOf({target.data(), static_cast<size_t>(length)}));
  }
  return done;
}

std::future<std::string> BeginToResolve(const std::string& path, const std::string& mount_point) {
  std::packaged_task<std::string()> task(
      [path, mount_point] { return Resolve(path, mount_point); });
  std::future<std::string> resolved = task.get_future();
  std::thread(std::move(task)).detach();  // nothing ends a call that hangs
  return resolved;
}

}  // namespace

Result<> CheckCachePlaces(const CacheOptions& cache, const std::string& mount_point) {
  if (!cache.enabled || cache.disk_capacity_mib == 0) return {};
  ASSIGN_OR_RETURN(const std::vector<std::string> directories,
                   SplitDirectoryList(cache.disk_directories));
  std::vector<std::future<std::string>> resolved;
  for (const std::string& directory : directories)
    resolved.push_back(BeginToResolve(directory, mount_point));
  const auto answered_by = std::chrono::steady_clock::now() + kAnswerMax;
  std::map<std::string, std::string> names;  // by where they lead
  for (size_t i = 0; i < directories.size(); ++i) {
    const std::string& directory = directories[i];
    const std::string place =
        resolved[i].wait_until(answered_by) == std::future_status::ready
            ? resolved[i].get()
            : std::filesystem::path(directory).lexically_normal().parent_path().string();
    if (IsIn(place, mount_point))
      return Fail(Errc::kInvalid, "g_tier_DadiDiskCachePath: " + directory +
                                      " is in the mount itself, at " + mount_point);
    const auto [other, is_new] = names.emplace(place, directory);
    if (is_new) continue;
    const std::string also = other->second == directory ? "" : ", also as " + other->second;
    return Fail(Errc::kInvalid,
                "g_tier_DadiDiskCachePath: " + directory + " is named twice" + also);
  }
  return {};
}

}  // namespace shoal
