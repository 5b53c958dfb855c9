#include "app/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "cache/directory_list.h"

namespace shoal {

uint64_t DirectoryCount(const CacheOptions& cache) {
  if (!cache.enabled || cache.disk_capacity_mib == 0) return 0;
  const auto directories = SplitDirectoryList(cache.disk_directories);
  return directories ? directories->size() : 0;  // the error is the cache's to say
}

namespace {

// The program and what it answers from; and without what makes it quick.
constexpr uint64_t kProgramMib = 32;
constexpr uint64_t kProgramMibMin = 20;
// A connection's buffers, with what is compared before it is given on (origin/checked_store.h), its
// thread, and what the allocator keeps of all.
constexpr uint64_t kConnectionKib = 512;
// What a fetch collects before the cache has it: a chunk.
constexpr uint64_t kCollectedKib = 1024;
constexpr uint64_t kConnectionsMin = 8;
constexpr uint64_t kKibOfMib = kMiB / kKiB;
// Of what is left of the limit: what the index may take beyond its least.
constexpr uint64_t kIndexShareOfRest = 4;
constexpr uint64_t kMetadataCacheMib = 256;
constexpr uint64_t kRingsMib =
    40;  // what stays in their entries: answers, and the first pages of each
constexpr uint64_t kReadMibMin = 16;
constexpr uint64_t kWriteQueueMibMin = 8;
constexpr uint64_t kListingMibMin = 8;
// Of listings that are read and not kept, beside the little that each reader takes even so.
constexpr uint64_t kReadListingsMib = 16;
constexpr uint64_t kReadListingsMibOfProgram = 1;  // in what the program has for itself
constexpr uint64_t kReadListingsShareOfRest = 8;   // of what is left of the limit
constexpr uint64_t kReadListingsMibMax = 1024;
// What a file or directory takes that the kernel knows, with a key of some 60 bytes; and what is
// handed over of it where the kernel opens files unasked.
constexpr uint64_t kInodeBytes = 400;
constexpr uint64_t kHandedOverInodeBytes = 400;
constexpr uint64_t kInodesMib = 32;
constexpr uint64_t kInodesMibOfProgram = 2;  // in what the program has for itself
// Of what is left of the limit; the kernel itself needs three times as much for each.
constexpr uint64_t kInodesShareOfRest = 8;
constexpr uint64_t kInodesMibMax = 4096;

// What the admin port and its tasks may take. Of what is left of the limit, beside a little that
// the program has for itself: a quarter for calls and answers, one for files that were listed and
// wait to be loaded, half for paths and patterns of tasks, each of which is in memory three times.
constexpr uint64_t kManagementShareOfRest = 8;
constexpr uint64_t kManagementMibMin = 8;
constexpr uint64_t kManagementMibMax = 384;
constexpr uint64_t kHeldMibMax = 64;
constexpr uint64_t kListedFileBytes = 200;
constexpr uint64_t kListedFilesMax = 250'000;
constexpr uint64_t kTextCopies = 3;
constexpr uint64_t kTextMibMax = 32;

uint64_t MemoryMib(const CacheOptions& cache) {
  return cache.enabled ? cache.memory_capacity_mib : 0;
}

uint64_t IndexMibMin(const CacheOptions& cache) {
  const uint64_t of_memory = MemoryMib(cache) > 0 ? IndexBytesMin(MemoryMib(cache) * kMiB) : 0;
  return (of_memory + DirectoryCount(cache) * IndexBytesMin(cache.disk_capacity_mib * kMiB)) / kMiB;
}

bool HasCache(const CacheOptions& cache) {
  return MemoryMib(cache) > 0 || DirectoryCount(cache) > 0;
}

uint64_t ConnectionKib(const MountOptions& options) {
  return kConnectionKib + (HasCache(options.cache) ? kCollectedKib : 0);
}

// Without an admin port nobody can ask for one.
uint64_t WarmupConnections(const MountOptions& options) {
  return HasCache(options.cache) && options.admin.port != 0 ? options.warmup.connection_count_max
                                                            : 0;
}

uint64_t ConnectionsMib(const MountOptions& options) {
  return (options.origin.connection_count_max * ConnectionKib(options) +
          WarmupConnections(options) * kConnectionKib + kKibOfMib - 1) /
         kKibOfMib;
}

uint64_t ListingMib(const FileSystemOptions& names) {
  return names.directory_cache ? names.directory_cache_size_bytes_max / kMiB : 0;
}

// Without what is only theirs if it is left over.
uint64_t ReadListingsMib(const FileSystemOptions& names) {
  const uint64_t mib = names.listing_bytes_max / kMiB;
  return mib <= kReadListingsMibOfProgram ? 0 : std::min(mib, kReadListingsMib);
}

void SetReadListingsMib(uint64_t mib, FileSystemOptions& names) {
  names.listing_bytes_max = std::max(mib, kReadListingsMibOfProgram) * kMiB;
}

uint64_t InodeBytes(const MountOptions& options) {
  return kInodeBytes + (options.session.open_requests == "off" ? kHandedOverInodeBytes : 0);
}

// Without what is only theirs if it is left over.
uint64_t InodesMib(const MountOptions& options) {
  const uint64_t bytes = options.file_system.inode_count_max * InodeBytes(options);
  const uint64_t mib = (bytes + kMiB - 1) / kMiB;
  return mib <= kInodesMibOfProgram ? 0 : std::min(mib, kInodesMib);
}

void SetInodesMib(uint64_t mib, MountOptions& options) {
  options.file_system.inode_count_max =
      std::max(mib, kInodesMibOfProgram) * kMiB / InodeBytes(options);
}

void SetManagementMib(uint64_t mib, MountOptions& options) {
  options.admin.held_bytes_max = std::min(mib / 4, kHeldMibMax) * kMiB;
  options.warmup.listed_count_max = std::min(mib / 4 * kMiB / kListedFileBytes, kListedFilesMax);
  // Of tasks that run, and of those that ended.
  options.warmup.text_bytes_max = std::min(mib * kMiB / 4 / kTextCopies, kTextMibMax * kMiB);
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
  return {
      {"g_tier_DadiMemCacheCapacityMB", MemoryMib(cache), ""},
      {"g_tier_DadiDiskCacheCapacityMB", IndexMibMin(cache), " for the index of what is cached"},
      {"g_tier_DadiDiskCachePath", directories * kWriteQueueMibMin,
       fmt::format(" for what waits to be written to {} directories", directories)},
      {"g_metadata_CacheEnable", options.file_system.metadata_cache ? kMetadataCacheMib : 0,
       " for the names"}};
}

uint64_t NeededMib(const MountOptions& options) {
  uint64_t mib =
      kProgramMib + ConnectionsMib(options) + RingsMib(options) + options.read.memory_mib +
      ListingMib(options.file_system) + ReadListingsMib(options.file_system) + InodesMib(options) +
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

Result<> MakeFit(const MemoryLimit& limit, MountOptions& options) {
  SetReadListingsMib(kReadListingsMib, options.file_system);
  SetInodesMib(kInodesMib, options);
  const uint64_t limit_mib = limit.bytes / kMiB;
  const uint64_t needed_mib = NeededMib(options);
  if (needed_mib <= limit_mib) return {};
  uint64_t excess_kib = (needed_mib - limit_mib) * kKibOfMib;
  // As many of them as are too much; answers how many are left.
  const auto reduce = [&](uint64_t count, uint64_t count_min, uint64_t each_kib) {
    const uint64_t wanted = (excess_kib + each_kib - 1) / each_kib;
    const uint64_t given = count > count_min ? std::min(count - count_min, wanted) : 0;
    excess_kib -= std::min(excess_kib, given * each_kib);
    return count - given;
  };
  const auto say = [&](std::string_view what, uint64_t now, uint64_t before) {
    if (now != before)
      options.notices.push_back({.is_warning = true,
                                 .text = fmt::format("{}: {} instead of {}, as {} allows {} MiB",
                                                     what, now, before, limit.whose, limit_mib)});
    return now;
  };
  uint64_t& read_mib = options.read.memory_mib;
  read_mib = say("read_memory_mb", reduce(read_mib, kReadMibMin, kKibOfMib), read_mib);
  if (const uint64_t directories = DirectoryCount(options.cache); directories > 0) {
    uint64_t& queue_mib = options.cache.write_queue_mib;
    queue_mib = say("MiB that may wait to be written to each directory of the disk cache",
                    reduce(queue_mib, kWriteQueueMibMin, directories * kKibOfMib), queue_mib);
  }
  const uint64_t listing_mib = ListingMib(options.file_system);
  if (const uint64_t now_mib = reduce(listing_mib, kListingMibMin, kKibOfMib);
      now_mib != listing_mib) {
    uint64_t& bytes = options.file_system.directory_cache_size_bytes_max;
    bytes = say("g_readdircache_MaxSize", now_mib * kMiB, bytes);
  }
  SetReadListingsMib(reduce(kReadListingsMib, 0, kKibOfMib), options.file_system);
  say("MiB for listings that are read and not kept", options.file_system.listing_bytes_max / kMiB,
      kReadListingsMib);
  SetInodesMib(reduce(kInodesMib, 0, kKibOfMib), options);
  say("files and directories that are known at a time", options.file_system.inode_count_max,
      kInodesMib * kMiB / InodeBytes(options));
  if (WarmupConnections(options) > 0) {
    uint64_t& count = options.warmup.connection_count_max;
    count = say("warmup_connections", reduce(count, kConnectionsMin, kConnectionKib), count);
  }
  if (excess_kib > 0 && options.session.transport == "auto") {
    options.session.transport = "dev";
    excess_kib -= std::min(excess_kib, kRingsMib * kKibOfMib);
    options.notices.push_back(
        {.is_warning = true,
         .text = fmt::format("transport: dev instead of auto, as {} allows {} MiB", limit.whose,
                             limit_mib)});
  }
  uint64_t& count = options.origin.connection_count_max;
  count = say("max_connections", reduce(count, kConnectionsMin, ConnectionKib(options)), count);
  options.read.fetch_count_max = count;
  if (excess_kib <= (kProgramMib - kProgramMibMin) * kKibOfMib) return {};
  return tl::unexpected(
      DoesNotFit(limit, options, NeededMib(options) - (kProgramMib - kProgramMibMin)));
}

}  // namespace

uint64_t MemoryNeededBytes(const MountOptions& options) {
  return NeededMib(options) * kMiB;
}

Result<> FitIntoMemory(const MemoryLimit& limit, MountOptions& options) {
  RETURN_IF_ERROR(MakeFit(limit, options));
  const uint64_t limit_mib = limit.bytes / kMiB;
  const uint64_t needed_mib = NeededMib(options);
  const uint64_t rest_mib = limit_mib > needed_mib ? limit_mib - needed_mib : 0;
  options.cache.index_mib_max = IndexMibMin(options.cache) + rest_mib / kIndexShareOfRest;
  SetReadListingsMib(
      std::min(ReadListingsMib(options.file_system) + rest_mib / kReadListingsShareOfRest,
               kReadListingsMibMax),
      options.file_system);
  SetManagementMib(
      std::clamp(rest_mib / kManagementShareOfRest, kManagementMibMin, kManagementMibMax), options);
  SetInodesMib(std::min(InodesMib(options) + rest_mib / kInodesShareOfRest, kInodesMibMax),
               options);
  return {};
}

}  // namespace shoal
