#include "app/cache_places.h"

#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/resolve_links.h"
#include "cache/directory_list.h"

namespace shoal {
namespace {

constexpr std::chrono::seconds kAnswerMax{1};

std::future<std::string> BeginToResolve(const std::string& path, const std::string& mount_point) {
  std::packaged_task<std::string()> task([path, mount_point] {
    return ResolveLinks(path, [&](const std::string& at) { return at == mount_point; });
  });
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
  const auto answered_by = SystemClock().Now() + kAnswerMax;
  std::map<std::string, std::string> names;  // by where they lead
  for (size_t i = 0; i < directories.size(); ++i) {
    const std::string& directory = directories[i];
    const std::string place =
        resolved[i].wait_until(answered_by) == std::future_status::ready
            ? resolved[i].get()
            : std::filesystem::path(directory).lexically_normal().parent_path().string();
    if (!mount_point.empty() && IsIn(place, mount_point))
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
