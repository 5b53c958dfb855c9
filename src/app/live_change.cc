#include "app/live_change.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/bytes.h"
#include "base/log.h"
#include "fs/object_file_system.h"

namespace shoal {
namespace {

constexpr std::array<std::string_view, 7> kLive = {
    "log_level",
    "g_tier_DadiMemCacheCapacityMB",
    "g_tier_DadiDiskCacheCapacityMB",
    "g_readdircache_Enable",
    "g_readdircache_MaxCount",
    "g_readdircache_MaxSize",
    "g_readdircache_RemainTime",
};

Result<> SetCapacity(Tier* tier, uint64_t capacity_mib) {
  if (tier == nullptr) return {};
  for (const auto& volume : tier->volumes()) {
    if (volume->capacity_bytes() == capacity_mib * kMiB) continue;
    RETURN_IF_ERROR(volume->SetCapacity(capacity_mib * kMiB));
    log::Info("the cache at {} may take {} MiB from now on", volume->name(), capacity_mib);
  }
  return {};
}

}  // namespace

std::vector<std::string> ChangedOptions(const MountOptions& from, const MountOptions& to) {
  std::vector<std::string> names;
  ForEachOptionGroup([&](std::string_view, auto member, const auto& declarations) {
    ForEachOption(declarations, [&](const auto& option) {
      if ((from.*member).*(option.field) != (to.*member).*(option.field))
        names.emplace_back(option.name);
    });
  });
  return names;
}

bool CanChangeLive(const MountOptions& from, const MountOptions& to) {
  // A tier that is not there cannot grow, and one that goes is more than shrunk.
  if ((from.cache.memory_capacity_mib == 0) != (to.cache.memory_capacity_mib == 0) ||
      (from.cache.disk_capacity_mib == 0) != (to.cache.disk_capacity_mib == 0))
    return false;
  // With the metadata cache, this is also how long a missing name is believed.
  if (to.file_system.metadata_cache && from.file_system.directory_cache_valid_seconds !=
                                           to.file_system.directory_cache_valid_seconds)
    return false;
  return from.mount_flags == to.mount_flags &&
         std::ranges::all_of(ChangedOptions(from, to), [](const std::string& name) {
           return std::ranges::find(kLive, name) != kLive.end();
         });
}

Result<> ChangeLive(Node& node, const MountOptions& to) {
  RETURN_IF_ERROR(log::SetLevel(to.command.log_level));
  node.file_system->SetDirectoryCacheLimits(LimitsOf(to.file_system));
  RETURN_IF_ERROR(SetCapacity(node.tiers.memory.get(), to.cache.memory_capacity_mib));
  return SetCapacity(node.tiers.disk.get(), to.cache.disk_capacity_mib);
}

}  // namespace shoal
