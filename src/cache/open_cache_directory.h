// Opens a cache in a directory, `PATH/shoal-cache/`, as docs/disk_format.md describes it, or in
// the medium of the memory tier (memory_medium.h): small objects on shelves (shelved_storage.h),
// the others in files of their own (cache_directory.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/file_descriptor.h"
#include "base/result.h"
#include "cache/cache_storage.h"

namespace shoal {

struct CacheDirectoryOptions {
  // What it may take in all, which bounds what is kept to be looked at. CacheStorage::Resize
  // changes it.
  uint64_t capacity_bytes = ~uint64_t{0};
  // Objects of fewer bytes share files, so that no file is just one's bytes; one that is never
  // asked for as a WholeFile is better kept so.
  uint64_t shelved_below_bytes = 0;
};

// `path` is a directory that exists; `shoal-cache` is made in it. One process may have the
// directory at a time. kBusy: another one has; kTimedOut: so has a process of this one's parent,
// as the one that served a mount before it; kDenied: it belongs to somebody else; kInvalid: it is
// no directory, of a format of another version, or used by this process already; kUnreachable,
// kNoSpace: the medium.
//
// The process is to ignore SIGIO: what is evicted is leased (fcntl(2)), and it is sent that when
// somebody opens the file just then.
Result<std::unique_ptr<CacheStorage>> OpenCacheDirectory(const std::string& path,
                                                         const CacheDirectoryOptions& options);

// That of the storage, for messages.
std::string CacheDirectoryName(const std::string& path);

// What an earlier process kept in `medium` is there again. The kernel bounds it, too, by
// its capacity or what is in it already.
Result<std::unique_ptr<CacheStorage>> OpenMemoryStorage(FileDescriptor medium,
                                                        const CacheDirectoryOptions& options);

}  // namespace shoal
