// The medium of the memory tier: a tmpfs that no path leads to. What is kept on it is a cache
// directory's (open_cache_directory.h).
//
// The functions are safe from any thread.
#pragma once

#include <cstdint>

#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

// It lives as long as its descriptor, or a file of it that is open; so a process that outlives
// this one may keep it for the next. Holds next to nothing before it is resized. Needs
// CAP_SYS_ADMIN.
Result<FileDescriptor> MakeMemoryMedium();

// The kernel bounds it by this capacity from now on, and a little more.
Result<> ResizeMemoryMedium(int medium_fd, uint64_t capacity_bytes);

// Frees what an earlier process kept there, but for files that are open.
void ClearMemoryMedium(int medium_fd);

}  // namespace shoal
