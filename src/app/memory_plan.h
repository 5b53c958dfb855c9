// Whether what a mount is told to keep in memory fits. Pure.
#pragma once

#include <cstdint>

#include "app/machine_limits.h"
#include "app/mount_options.h"
#include "base/result.h"

namespace shoal {

// Directories of the disk cache that the options name; 0 without one.
uint64_t DirectoryCount(const CacheOptions& cache);

// The most memory that the options let the daemon use, with the memory cache, and with the least
// that the index of what is cached may take. A formula, which docs/operations.md repeats.
uint64_t MemoryNeededBytes(const MountOptions& options);

// Where the limit leaves less, makes smaller, each with a notice: read_memory_mb, then what may
// wait to be written to the disk cache, then the kept listings, then those that are read, then what
// is known of files, then connections of warm-up; then the rings go, and then connections of
// readers. Where it leaves more, a quarter of that is for the index, which needs it where objects
// are small, and an eighth each for more files that are known at a time, for listings that are
// read, and for the admin port and its tasks. kInvalid, naming the option that asks for most: not
// even all of that is enough.
Result<> FitIntoMemory(const MemoryLimit& limit, MountOptions& options);

}  // namespace shoal
