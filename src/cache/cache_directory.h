// A CacheStorage in a directory: `PATH/shoal-cache/`, as docs/disk_format.md describes it,
// or a tmpfs of its own that no path leads to.
//
// The directory is trusted with nothing. It belongs to this process's user, mode 0700;
// names are digests; what is opened is opened below a descriptor, follows no link, and is
// a plain file of ours with one name, or is removed.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cache/cache_storage.h"

namespace shoal {

// `path` is a directory that exists; `shoal-cache` is made in it. One process may have it at
// a time. kBusy: another one has, and did not let go in time; kDenied: it
// belongs to somebody else; kInvalid: it is no directory, or of a format of another version;
// kUnreachable, kNoSpace: the medium.
Result<std::unique_ptr<CacheStorage>> OpenCacheDirectory(
    const std::string& path, Duration wait_for_other = std::chrono::seconds(5));

// Gone with the process. Needs CAP_SYS_ADMIN. `capacity_bytes` bounds it by the kernel, too.
Result<std::unique_ptr<CacheStorage>> MakeMemoryStorage(uint64_t capacity_bytes);

}  // namespace shoal
