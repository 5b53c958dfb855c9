// Whether what a mount is told to keep in memory fits. Pure.
#pragma once

#include <cstdint>

#include "app/memory_limit.h"
#include "app/mount_options.h"
#include "base/result.h"

namespace shoal {

// The most memory that the options let the daemon use, the memory cache included. A formula,
// which docs/operations.md repeats.
uint64_t MemoryNeededBytes(const MountOptions& options);

// Makes read_memory_mb smaller, with a notice, where the limit leaves less for it. kInvalid,
// saying what does not fit: not even that helps.
Result<> FitIntoMemory(const MemoryLimit& limit, MountOptions& options);

}  // namespace shoal
