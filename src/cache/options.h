// The cache of one node, as its user describes it, and the memory that it takes for that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>

#include "base/bytes.h"
#include "base/option.h"

namespace shoal {

// The defaults of g_* options are the specification's.
struct CacheOptions {
  bool enabled = true;
  uint64_t memory_capacity_mib = 0;
  uint64_t disk_capacity_mib = 0;
  std::string disk_directories;
  uint64_t page_kib = 16;
  uint64_t free_mib_min = 1024;
  uint64_t fetch_rate_max = 3072 * kMiB;  // bytes a second
  // Not options of a mount.
  uint64_t write_queue_mib = 64;  // of each directory: what waits to be written
  // What is known of cached objects, of all of them together; at the least a thousandth of what
  // they may take.
  uint64_t index_mib_max = 0;
  std::string bucket_identity;  // endpoint and bucket
  // Begins also without directories that are not to be had, as another mount's. Where the medium
  // is the reason it always does.
  bool directories_may_be_missing = false;
  // Smaller files are as quick from the kernel's own page cache, where opening one again costs
  // no look at ours: measured from 16 KiB to 1 MiB.
  uint64_t whole_bytes_min = 256 * kKiB;
};

// What the index of a cache may always take. EFC states as much.
constexpr uint64_t IndexBytesMin(uint64_t capacity_bytes) {
  return std::max(256 * kKiB, capacity_bytes / 1000);
}

inline constexpr auto kCacheOptions = std::tuple{
    Option{"g_tier_EnableClusterCache", &CacheOptions::enabled, Unit::kNone,
           "Cache what is read, in memory and on disk, as far as the capacities below say"},
    Option{"g_tier_DadiMemCacheCapacityMB", &CacheOptions::memory_capacity_mib, Unit::kMebibytes,
           "Size of the memory cache; 0 for none"},
    Option{"g_tier_DadiDiskCacheCapacityMB", &CacheOptions::disk_capacity_mib, Unit::kMebibytes,
           "Size of the disk cache in each of its directories; 0 for none"},
    Option{"g_tier_DadiDiskCachePath", &CacheOptions::disk_directories, Unit::kPath,
           "Directories of the disk cache, with colons between them; each is used by one mount"},
    Option{"g_tier_DadiCachePageSizeKB", &CacheOptions::page_kib, Unit::kKibibytes,
           "Size of a page of the cache: the least that is fetched"},
    Option{"cache_min_free_mb", &CacheOptions::free_mib_min, Unit::kMebibytes,
           "Room on each disk that the cache leaves free, or a twentieth of the disk if that is "
           "less"},
    Option{"g_tier_DadiSdkGetTrafficLimit", &CacheOptions::fetch_rate_max, Unit::kBytes,
           "Most bytes of objects fetched in a second, for readers and warm-up together; at least "
           "1048576, or 0 for no limit. What is read from a cache does not count"},
};

}  // namespace shoal
