#include "app/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/bytes.h"

namespace shoal {
namespace {

// The program, its threads, connections and what it answers from.
constexpr uint64_t kProgramMib = 64;
// What waits to be written to each directory of the disk cache.
constexpr uint64_t kWriteMib = 64;
// EFC states a thousandth of the capacity for the index; ours needs less.
constexpr uint64_t kIndexShare = 1000;
constexpr uint64_t kMetadataCacheMib = 256;
constexpr uint64_t kReadMibMin = 16;

uint64_t DirectoryCount(const CacheOptions& cache) {
  if (!cache.enabled || cache.disk_capacity_mib == 0) return 0;
  return 1 + static_cast<uint64_t>(std::ranges::count(cache.disk_directories, ':'));
}

uint64_t NeededMibWithoutReads(const MountOptions& options) {
  const CacheOptions& cache = options.cache;
  const uint64_t memory_mib = cache.enabled ? cache.memory_capacity_mib : 0;
  const uint64_t directories = DirectoryCount(cache);
  const uint64_t cached_mib = memory_mib + directories * cache.disk_capacity_mib;
  const FileSystemOptions& names = options.file_system;
  const uint64_t names_mib =
      (names.metadata_cache ? kMetadataCacheMib : 0) +
      (names.directory_cache ? names.directory_cache_size_bytes_max / kMiB : 0);
  return kProgramMib + names_mib + memory_mib + directories * kWriteMib + cached_mib / kIndexShare;
}

}  // namespace

uint64_t MemoryNeededBytes(const MountOptions& options) {
  return (NeededMibWithoutReads(options) + options.read.memory_mib) * kMiB;
}

Result<> FitIntoMemory(const MemoryLimit& limit, MountOptions& options) {
  const uint64_t limit_mib = limit.bytes / kMiB;
  const uint64_t others_mib = NeededMibWithoutReads(options);
  if (others_mib + options.read.memory_mib <= limit_mib) return {};
  const uint64_t memory_mib = options.cache.enabled ? options.cache.memory_capacity_mib : 0;
  if (others_mib + kReadMibMin > limit_mib && memory_mib > 0)
    return Fail(
        Errc::kInvalid,
        fmt::format("g_tier_DadiMemCacheCapacityMB: {} MiB do not fit: {} allows {} MiB, "
                    "and the daemon itself needs up to {}",
                    memory_mib, limit.whose, limit_mib, others_mib - memory_mib + kReadMibMin));
  const uint64_t left_mib = limit_mib > others_mib ? limit_mib - others_mib : 0;
  const uint64_t read_mib = std::min(std::max(left_mib, kReadMibMin), options.read.memory_mib);
  options.notices.push_back(
      {.is_warning = true,
       .text = fmt::format("read_memory_mb: {} instead of {}, as {} allows {} MiB", read_mib,
                           options.read.memory_mib, limit.whose, limit_mib)});
  options.read.memory_mib = read_mib;
  return {};
}

}  // namespace shoal
