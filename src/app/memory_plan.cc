#include "app/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "cache/directory_list.h"

namespace shoal {
namespace {

// The program, its threads, connections and what it answers from; and without what makes it quick.
constexpr uint64_t kProgramMib = 64;
constexpr uint64_t kProgramMibMin = 32;
// EFC states a thousandth of the capacity for the index; ours needs less.
constexpr uint64_t kIndexShare = 1000;
constexpr uint64_t kMetadataCacheMib = 256;
constexpr uint64_t kRingsMib =
    40;  // what stays in their entries: answers, and the first pages of each
constexpr uint64_t kReadMibMin = 16;
constexpr uint64_t kWriteQueueMibMin = 8;
constexpr uint64_t kListingMibMin = 8;

uint64_t DirectoryCount(const CacheOptions& cache) {
  if (!cache.enabled || cache.disk_capacity_mib == 0) return 0;
  const auto directories = SplitDirectoryList(cache.disk_directories);
  return directories ? directories->size() : 0;  // the error is the cache's to say
}

uint64_t MemoryMib(const CacheOptions& cache) {
  return cache.enabled ? cache.memory_capacity_mib : 0;
}

uint64_t ListingMib(const FileSystemOptions& names) {
  return names.directory_cache ? names.directory_cache_size_bytes_max / kMiB : 0;
}

// What `auto` comes to is known only later.
uint64_t RingsMib(const MountOptions& options) {
  return options.session.transport == "dev" ? 0 : kRingsMib;
}

// What an option asks for that cannot be less.
struct Fixed {
  std::string_view option;
  uint64_t mib;
  std::string what;
};

std::vector<Fixed> FixedOf(const MountOptions& options) {
  const CacheOptions& cache = options.cache;
  const uint64_t directories = DirectoryCount(cache);
  return {{"g_tier_DadiMemCacheCapacityMB", MemoryMib(cache), ""},
          {"g_tier_DadiDiskCacheCapacityMB",
           (MemoryMib(cache) + directories * cache.disk_capacity_mib) / kIndexShare,
           " for the index of what is cached"},
          {"g_tier_DadiDiskCachePath", directories * kWriteQueueMibMin,
           fmt::format(" for what waits to be written to {} directories", directories)},
          {"g_metadata_CacheEnable", options.file_system.metadata_cache ? kMetadataCacheMib : 0,
           " for the names"}};
}

uint64_t NeededMib(const MountOptions& options) {
  uint64_t mib =
      kProgramMib + RingsMib(options) + options.read.memory_mib + ListingMib(options.file_system) +
      DirectoryCount(options.cache) * (options.cache.write_queue_mib - kWriteQueueMibMin);
  for (const Fixed& fixed : FixedOf(options)) mib += fixed.mib;
  return mib;
}

// The largest part of what does not fit, which is said.
Error DoesNotFit(const MemoryLimit& limit, const MountOptions& options, uint64_t needed_mib) {
  const std::vector<Fixed> all = FixedOf(options);
  const Fixed& largest = *std::ranges::max_element(all, {}, &Fixed::mib);
  const uint64_t limit_mib = limit.bytes / kMiB;
  if (largest.mib == 0)
    return {Errc::kInvalid,
            fmt::format("read_memory_mb: the daemon needs {} MiB at least, and {} allows {}",
                        needed_mib, limit.whose, limit_mib)};
  return {Errc::kInvalid,
          fmt::format("{}: {} MiB{} do not fit: {} allows {} MiB, and the rest of the daemon "
                      "needs {} at least",
                      largest.option, largest.mib, largest.what, limit.whose, limit_mib,
                      needed_mib - largest.mib)};
}

}  // namespace

uint64_t MemoryNeededBytes(const MountOptions& options) {
  return NeededMib(options) * kMiB;
}

Result<> FitIntoMemory(const MemoryLimit& limit, MountOptions& options) {
  const uint64_t limit_mib = limit.bytes / kMiB;
  const uint64_t needed_mib = NeededMib(options);
  if (needed_mib <= limit_mib) return {};
  uint64_t excess_mib = needed_mib - limit_mib;
  // As much of it as is too much; answers what is left of it.
  const auto reduce = [&](uint64_t mib, uint64_t mib_min, uint64_t count) {
    const uint64_t wanted_mib = (excess_mib + count - 1) / count;
    const uint64_t given_mib = mib > mib_min ? std::min(mib - mib_min, wanted_mib) : 0;
    excess_mib -= std::min(excess_mib, given_mib * count);
    return mib - given_mib;
  };
  const auto say = [&](std::string_view what, uint64_t now, uint64_t before) {
    if (now != before)
      options.notices.push_back({.is_warning = true,
                                 .text = fmt::format("{}: {} instead of {}, as {} allows {} MiB",
                                                     what, now, before, limit.whose, limit_mib)});
    return now;
  };
  uint64_t& read_mib = options.read.memory_mib;
  read_mib = say("read_memory_mb", reduce(read_mib, kReadMibMin, 1), read_mib);
  if (const uint64_t directories = DirectoryCount(options.cache); directories > 0) {
    uint64_t& queue_mib = options.cache.write_queue_mib;
    queue_mib = say("MiB that may wait to be written to each directory of the disk cache",
                    reduce(queue_mib, kWriteQueueMibMin, directories), queue_mib);
  }
  const uint64_t listing_mib = ListingMib(options.file_system);
  if (const uint64_t now_mib = reduce(listing_mib, kListingMibMin, 1); now_mib != listing_mib) {
    uint64_t& bytes = options.file_system.directory_cache_size_bytes_max;
    bytes = say("g_readdircache_MaxSize", now_mib * kMiB, bytes);
  }
  if (excess_mib > 0 && options.session.transport == "auto") {
    options.session.transport = "dev";
    excess_mib -= std::min(excess_mib, kRingsMib);
    options.notices.push_back(
        {.is_warning = true,
         .text = fmt::format("transport: dev instead of auto, as {} allows {} MiB", limit.whose,
                             limit_mib)});
  }
  if (excess_mib <= kProgramMib - kProgramMibMin) return {};
  return tl::unexpected(
      DoesNotFit(limit, options, NeededMib(options) - (kProgramMib - kProgramMibMin)));
}

}  // namespace shoal
