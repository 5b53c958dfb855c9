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
#include "base/file_descriptor.h"
#include "base/result.h"
#include "cache/cache_storage.h"

namespace shoal {

// `path` is a directory that exists; `shoal-cache` is made in it. Objects of fewer bytes than
// `shelved_below_bytes` share files, so that no file is just one's bytes; one that is never asked
// for as a WholeFile is better kept so. One process may have the directory at a time. kBusy:
// another one has, and did not let go in time; kDenied: it belongs to somebody else; kInvalid: it
// is no directory, or of a format of another version; kUnreachable, kNoSpace: the medium.
Result<std::unique_ptr<CacheStorage>> OpenCacheDirectory(
    const std::string& path, uint64_t shelved_below_bytes,
    Duration wait_for_other = std::chrono::seconds(5));

// A tmpfs that no path leads to. It lives as long as its descriptor, or a file of it that is
// open; so a process that outlives this one may keep it for the next. Needs CAP_SYS_ADMIN.
Result<FileDescriptor> MakeMemoryMedium();

// What an earlier process kept in `medium` is there again. The kernel bounds it, too, by
// `capacity_bytes` or what is in it already. `shelved_below_bytes`: as above.
Result<std::unique_ptr<CacheStorage>> OpenMemoryStorage(FileDescriptor medium,
                                                        uint64_t capacity_bytes,
                                                        uint64_t shelved_below_bytes);
// Frees what an earlier process kept there, but for files that are open.
void ClearMemoryMedium(int medium_fd);

}  // namespace shoal
