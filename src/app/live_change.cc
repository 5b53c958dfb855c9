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

// What was set, and what it was before.
struct Change {
  CacheVolume* volume;
  uint64_t bytes_before;
};

Result<> SetCapacity(Tier* tier, uint64_t capacity_mib, std::vector<Change>& changes) {
  if (tier == nullptr) return {};
  for (const auto& volume : tier->volumes()) {
    const uint64_t bytes_before = volume->capacity_bytes();
    if (bytes_before == capacity_mib * kMiB) continue;
    RETURN_IF_ERROR(volume->SetCapacity(capacity_mib * kMiB));
    changes.push_back({volume.get(), bytes_before});
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
  // What may fail comes first.
  std::vector<Change> changes;
  Result<> changed = SetCapacity(node.tiers.memory.get(), to.cache.memory_capacity_mib, changes);
  if (changed) changed = SetCapacity(node.tiers.disk.get(), to.cache.disk_capacity_mib, changes);
  if (changed) changed = log::SetLevel(to.command.log_level);
  if (!changed) {
    for (const auto& [volume, bytes_before] : changes)
      if (const auto back = volume->SetCapacity(bytes_before); !back)
        log::Warn("the cache at {} keeps its new size: {}", volume->name(), back.error().detail);
    return changed;
  }
  for (const auto& [volume, bytes_before] : changes)
    log::Info("the cache at {} may take {} MiB from now on", volume->name(),
              volume->capacity_bytes() / kMiB);
  node.file_system->SetDirectoryCacheLimits(LimitsOf(to.file_system));
  return {};
}

}  // namespace shoal
