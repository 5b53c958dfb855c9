#include "app/live_change.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include "app/probe_bucket.h"
#include "base/bytes.h"
#include "base/log.h"
#include "fs/object_file_system.h"
#include "origin/open_store.h"

namespace shoal {
namespace {

constexpr auto kLive = std::to_array<std::string_view>({
    "log_level",
    "passwd_file",
    "g_oss_STSFile",
    "read_memory_mb",
    "max_connections",
    "warmup_connections",
    "g_tier_DadiSdkGetTrafficLimit",
    "g_tier_DadiMemCacheCapacityMB",
    "g_tier_DadiDiskCacheCapacityMB",
    "cache_min_free_mb",
    "entry_timeout",
    "recovery_limit",
    "g_readdircache_Enable",
    "g_readdircache_MaxCount",
    "g_readdircache_MaxSize",
    "g_readdircache_RemainTime",
});

constexpr std::string_view kMountFlags = "exec, atime and their like";

// The keeper waits for longer, or it would take the worker for one that hangs.
constexpr std::chrono::seconds kTryMax{5};

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

bool NameOtherCredentials(const OriginOptions& from, const OriginOptions& to) {
  return from.passwd_file != to.passwd_file || from.sts_file != to.sts_file;
}

// Those that `to` names, once the bucket was listed with them.
Result<std::shared_ptr<CredentialSource>> TriedCredentials(const MountOptions& to,
                                                           const Clock& clock) {
  ASSIGN_OR_RETURN(std::shared_ptr<CredentialSource> credentials,
                   OpenCredentials(to.origin, clock));
  OriginOptions origin = to.origin;
  origin.connection_count_max = 1;
  ASSIGN_OR_RETURN(const auto store, OpenStore(origin, credentials, clock));
  ASSIGN_OR_RETURN(const std::string warning,
                   ProbeBucket(*store, *credentials, to.origin, to.file_system.prefix,
                               Deadline::After(clock, kTryMax)));
  if (!warning.empty()) log::Warn("{}", warning);
  return credentials;
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

bool AreTheSame(const MountOptions& a, const MountOptions& b) {
  return ChangedOptions(a, b).empty() && a.mount_flags == b.mount_flags;
}

std::vector<std::string> OptionsThatTakeAnotherWorker(const MountOptions& from,
                                                      const MountOptions& to) {
  std::vector<std::string> names = ChangedOptions(from, to);
  std::erase_if(names, [](const std::string& name) { return std::ranges::count(kLive, name) > 0; });
  // A tier that is not there cannot grow, and one that goes is more than shrunk.
  if ((from.cache.memory_capacity_mib == 0) != (to.cache.memory_capacity_mib == 0))
    names.emplace_back("g_tier_DadiMemCacheCapacityMB");
  if ((from.cache.disk_capacity_mib == 0) != (to.cache.disk_capacity_mib == 0))
    names.emplace_back("g_tier_DadiDiskCacheCapacityMB");
  // Blocks are of one size for the life of a node.
  if (from.read.segment_bytes == to.read.segment_bytes &&
      SegmentBytes(from.read) != SegmentBytes(to.read))
    names.emplace_back("read_memory_mb");
  if (from.mount_flags != to.mount_flags) names.emplace_back(kMountFlags);
  return names;
}

bool CanChangeLive(const MountOptions& from, const MountOptions& to) {
  return OptionsThatTakeAnotherWorker(from, to).empty();
}

Result<> ChangeLive(Node& node, const MountOptions& from, const MountOptions& to,
                    const Clock& clock) {
  // What may fail comes first.
  std::shared_ptr<CredentialSource> credentials;
  if (NameOtherCredentials(from.origin, to.origin)) {
    ASSIGN_OR_RETURN(credentials, TriedCredentials(to, clock));
  }
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
  if (credentials) {
    node.credentials->Replace(std::move(credentials));
    log::Info("requests are signed with what {} says from now on",
              to.origin.sts_file.empty() ? to.origin.passwd_file : to.origin.sts_file);
  }
  if (from.cache.fetch_rate_max != to.cache.fetch_rate_max)
    log::Info("{} bytes a second may be fetched from now on (0: no limit)",
              to.cache.fetch_rate_max);
  if (from.read.memory_mib != to.read.memory_mib)
    log::Info("reads may take {} MiB from now on", to.read.memory_mib);
  if (node.tiers.disk && from.cache.free_mib_min != to.cache.free_mib_min) {
    for (const auto& volume : node.tiers.disk->volumes())
      volume->SetFreeBytesMin(to.cache.free_mib_min * kMiB);
    log::Info("the disk cache leaves {} MiB free from now on", to.cache.free_mib_min);
  }
  if (from.origin.connection_count_max != to.origin.connection_count_max)
    log::Info("up to {} connections from now on", to.origin.connection_count_max);
  node.store->SetConnectionCountMax(to.origin.connection_count_max);
  node.warmup_store->SetConnectionCountMax(to.warmup.connection_count_max);
  node.read_engine->SetFetchCountMax(to.read.fetch_count_max);
  node.traffic->SetRate(to.cache.fetch_rate_max);
  node.read_engine->SetMemory(to.read.memory_mib);
  node.file_system->SetDirectoryCacheLimits(LimitsOf(to.file_system));
  node.file_system->SetMissingValidFor(
      std::chrono::seconds(to.file_system.directory_cache_valid_seconds));
  node.file_system->SetListedNameValidFor(std::chrono::seconds(to.file_system.name_valid_seconds));
  return {};
}

}  // namespace shoal
