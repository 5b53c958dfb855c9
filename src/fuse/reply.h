// Our values as the structs that libfuse takes.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fs/file_system.h"
#include "fuse/low_level.h"

namespace shoal {

// Files 0644 and directories 0755, of root: a read-only mount of root's files.
struct stat ToStat(const Attributes& attributes);
fuse_entry_param ToEntryParam(const Entry& entry);
struct statvfs ToStatvfs(const Usage& usage);

// The longest name the kernel takes. Longer ones cannot be looked up either.
inline constexpr size_t kNameBytesMax = 1023;

// The entries, from the first, that one answer to READDIR, or with `plus` to READDIRPLUS, has
// room for. Those with names longer than kNameBytesMax take none: PackDirectory leaves them
// out, since one of them would fail the whole listing in the kernel.
struct DirectoryFit {
  size_t entry_count = 0;
  size_t bytes = 0;
};
DirectoryFit FitDirectory(std::span<const DirectoryEntry> entries, size_t size_bytes, bool plus);
std::string PackDirectory(std::span<const DirectoryEntry> entries, const DirectoryFit& fit,
                          bool plus);
// How many entries may fit, so that few are asked for in vain.
size_t EntryCountMax(size_t size_bytes, bool plus);

// READDIRPLUS gives no reference on "." and "..", on names given alone, nor on those left out.
bool IsRemembered(const DirectoryEntry& entry);

// Logs what is not an ordinary answer, and replies the errno.
void ReplyError(fuse_req_t request, std::string_view operation, const Error& error);

}  // namespace shoal
