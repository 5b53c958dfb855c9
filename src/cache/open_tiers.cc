#include "cache/open_tiers.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "cache/deferred_storage.h"
#include "cache/directory_list.h"
#include "cache/memory_medium.h"
#include "cache/object_meta.h"
#include "cache/open_cache_directory.h"

namespace shoal {
namespace {

// A volume's part of the memory for the index, as it has of what is cached.
uint64_t IndexBytesOf(const CacheOptions& options, uint64_t capacity_mib) {
  const auto directories = SplitDirectoryList(options.disk_directories);
  const uint64_t all_mib = options.memory_capacity_mib +
                           (directories ? directories->size() : 0) * options.disk_capacity_mib;
  return options.index_mib_max * kMiB / std::max(all_mib, capacity_mib) * capacity_mib;
}

VolumeOptions VolumeOf(const CacheOptions& options, uint64_t capacity_mib) {
  return {.capacity_bytes = capacity_mib * kMiB,
          .page_bytes = static_cast<uint32_t>(options.page_kib * kKiB),
          .free_bytes_min = options.free_mib_min * kMiB,
          .whole_bytes_min = options.whole_bytes_min,
          .index_bytes_max = IndexBytesOf(options, capacity_mib),
          .queued_bytes_max = options.write_queue_mib * kMiB};
}

CacheDirectoryOptions DirectoryOf(const CacheOptions& options, uint64_t capacity_mib) {
  return {.capacity_bytes = capacity_mib * kMiB, .shelved_below_bytes = options.whole_bytes_min};
}

TierOptions TierOf(const CacheOptions& options, ServedBy kind) {
  return {.kind = kind,
          .bucket_identity = options.bucket_identity,
          .page_bytes = static_cast<uint32_t>(options.page_kib * kKiB)};
}

Result<std::unique_ptr<Tier>> OpenDiskTier(const CacheOptions& options, RangeSource& next,
                                           DemandGauge* demand, const Clock& clock) {
  ASSIGN_OR_RETURN(const std::vector<std::string> directories,
                   SplitDirectoryList(options.disk_directories));
  // All at once: several that hang hold the mount up no longer than one.
  std::vector<std::unique_ptr<DeferredStorage>> storages;
  for (const std::string& directory : directories)
    storages.push_back(std::make_unique<DeferredStorage>(
        CacheDirectoryName(directory),
        [directory, how = DirectoryOf(options, options.disk_capacity_mib)] {
          return OpenCacheDirectory(directory, how);
        },
        clock));
  DeferredStorage::Patience patience;
  if (options.directories_may_be_missing) patience.for_other_mount = patience.for_process_before;
  for (const auto& storage : storages)
    if (const Result<> opened = storage->Await(patience);
        !opened && !options.directories_may_be_missing)
      return Fail(opened.error().code, "g_tier_DadiDiskCachePath: " + opened.error().detail);
  std::vector<std::unique_ptr<CacheVolume>> volumes;
  for (auto& storage : storages)
    volumes.push_back(std::make_unique<CacheVolume>(VolumeOf(options, options.disk_capacity_mib),
                                                    std::move(storage), clock));
  return std::make_unique<Tier>(TierOf(options, ServedBy::kDisk), std::move(volumes), next, demand);
}

Result<std::unique_ptr<Tier>> OpenMemoryTier(const CacheOptions& options, FileDescriptor medium,
                                             bool above_disk, RangeSource& next,
                                             DemandGauge* demand, const Clock& clock) {
  if (!medium.valid()) {
    ASSIGN_OR_RETURN(medium, MakeMemoryMedium());
  }
  ASSIGN_OR_RETURN(
      std::unique_ptr<CacheStorage> storage,
      OpenMemoryStorage(std::move(medium), DirectoryOf(options, options.memory_capacity_mib)));
  VolumeOptions volume = VolumeOf(options, options.memory_capacity_mib);
  volume.free_bytes_min = 0;
  volume.may_wait = false;
  TierOptions tier = TierOf(options, ServedBy::kMemory);
  tier.keep_at_first = !above_disk;
  std::vector<std::unique_ptr<CacheVolume>> volumes;
  volumes.push_back(std::make_unique<CacheVolume>(volume, std::move(storage), clock));
  return std::make_unique<Tier>(tier, std::move(volumes), next, demand);
}

}  // namespace

Result<> CheckCacheOptions(const CacheOptions& options) {
  if (!options.enabled) return {};
  const uint64_t page = options.page_kib;
  if (page < kPageBytesMin / kKiB || page > kPageBytesMax / kKiB || !std::has_single_bit(page))
    return Fail(Errc::kInvalid, "g_tier_DadiCachePageSizeKB: " + std::to_string(page) +
                                    " is not 4, 8, 16 ... or 1024");
  if (options.disk_capacity_mib == 0) return {};
  ASSIGN_OR_RETURN(const std::vector<std::string> directories,
                   SplitDirectoryList(options.disk_directories));
  if (directories.empty())
    return Fail(Errc::kInvalid,
                "g_tier_DadiDiskCacheCapacityMB: needs g_tier_DadiDiskCachePath, the directories");
  return {};
}

Result<Tiers> OpenTiers(const CacheOptions& options, FileDescriptor memory_medium,
                        RangeSource& origin, DemandGauge* demand, const Clock& clock) {
  Tiers tiers;
  // What a process with a memory cache left is of no use to one without.
  if (memory_medium.valid() && (!options.enabled || options.memory_capacity_mib == 0))
    ClearMemoryMedium(memory_medium.get());
  if (!options.enabled) return tiers;
  RETURN_IF_ERROR(CheckCacheOptions(options));
  if (options.disk_capacity_mib > 0) {
    ASSIGN_OR_RETURN(tiers.disk, OpenDiskTier(options, origin, demand, clock));
  }
  if (options.memory_capacity_mib > 0) {
    RangeSource& next = tiers.disk ? static_cast<RangeSource&>(*tiers.disk) : origin;
    ASSIGN_OR_RETURN(tiers.memory, OpenMemoryTier(options, std::move(memory_medium),
                                                  tiers.disk != nullptr, next, demand, clock));
  }
  return tiers;
}

}  // namespace shoal
