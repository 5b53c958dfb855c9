// Files of ours in a directory that is trusted with nothing: opened below a descriptor,
// through no link, and looked at before they are believed.
//
// The functions are safe from any thread. All may wait for the medium, for ever if it hangs.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

// Of errno. kNotFound; kBusy: it exists; kInvalid: a link, a socket, a directory, or too large;
// kNoSpace; kUnreachable for all else, which is the medium's trouble.
Error SystemError(const std::string& what);
inline auto FailSystem(const std::string& what) {
  return tl::unexpected<Error>(SystemError(what));
}

// What a file takes, in blocks of kCacheBlockBytes.
uint64_t BlocksOf(const struct stat& file);

// Never through a link, nor out of the directory. Invalid, with errno, when it cannot be.
FileDescriptor OpenBelow(int directory_fd, const char* path, int flags, mode_t mode = 0);

// A directory of this user's below `parent_fd`, closed to others; made if it is not there and
// `make` says so. `shown` is its name in messages. kInvalid: something else is in its place;
// kDenied: it belongs to another user.
Result<FileDescriptor> OpenFolder(int parent_fd, const char* name, const std::string& shown,
                                  bool make = true);

// Calls visit(name) for what is in the folder, but for "." and "..".
Result<> ForEachName(int folder_fd, const std::string& shown,
                     const std::function<void(std::string)>& visit);

// Whether it is a plain file of this user's with one name, which is how we make them; `file`
// is filled in. Open them non-blocking: a pipe planted in a file's place waits for a writer.
bool IsOurs(int fd, struct stat& file);

// All of `out`; past the end of the file there are zeros.
Result<> ReadAt(int fd, uint64_t offset, std::span<std::byte> out, const std::string& shown);
// The same if it takes no waiting. `in_memory`: the file is on a tmpfs, where nothing waits.
bool ReadAtNow(int fd, uint64_t offset, std::span<std::byte> out, bool in_memory);
// All of `bytes`, or an error after some of them.
Result<> WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes,
                 const std::string& shown);

// StoredObject's, of a part of a file.
Result<> SyncFile(int fd, const std::string& shown);
Result<> ConfirmWritten(int fd, const std::string& shown);
// A `length` of 0 is up to the end. On a tmpfs, whose pages are the medium: true.
bool DropPages(int fd, uint64_t offset, uint64_t length, bool waits);

}  // namespace shoal
