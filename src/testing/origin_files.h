// Files below one directory, and never outside it: every path is resolved with
// openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), so neither "..", nor a symbolic link,
// nor a directory swapped for one meanwhile leads out.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal::embedded {

// Which bytes a name led to. Equal stamps mean an unchanged file; writing in place,
// replacing and touching all change one of the three.
struct FileStamp {
  uint64_t size_bytes = 0;
  int64_t modified_ns = 0;  // since the epoch
  uint64_t inode = 0;

  static FileStamp Of(const struct stat& status);
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;  // false: a regular file
};

// Paths are relative, without a leading '/'; "" is the directory itself. Errors:
// kNotFound nothing usable is there (also: a link, a way out, a name too long),
// kNotDirectory a file stands where the path needs a directory, kIsDirectory the
// reverse, kNoSpace, kUnreachable the disk failed, or there are no descriptors. Thread-safe.
class FilesBelow {
 public:
  explicit FilesBelow(FileDescriptor directory) : directory_(std::move(directory)) {}
  // `path` is trusted and may be a link.
  static Result<FilesBelow> Open(const std::string& path);

  // `flags` as for open(2). Never blocks on a FIFO.
  [[nodiscard]] Result<FileDescriptor> OpenAt(const std::string& path, int flags) const;
  // Makes the directories above `path` that are missing.
  [[nodiscard]] Result<> MakeParents(const std::string& path) const;
  // Replaces a file at `to`.
  [[nodiscard]] Result<> Rename(const std::string& from, const std::string& to) const;
  // An absent file is no failure.
  [[nodiscard]] Result<> Remove(const std::string& path) const;
  // With everything in it. An absent directory is no failure.
  [[nodiscard]] Result<> RemoveDirectory(const std::string& path) const;
  // Files and directories only, in no order.
  [[nodiscard]] Result<std::vector<DirectoryEntry>> List(const std::string& path) const;
  // kInvalid past `size_bytes_max`.
  [[nodiscard]] Result<std::string> ReadSmall(const std::string& path, size_t size_bytes_max) const;
  // Atomic: readers see the old text or the new.
  [[nodiscard]] Result<> WriteSmall(const std::string& path, std::string_view text,
                                    const std::string& temporary_path) const;

 private:
  FileDescriptor directory_;
};

Error ErrorFromErrno(int number, const std::string& what);
// Nothing stands there. Any other error leaves that open, and is to be told as what it is.
[[nodiscard]] inline bool IsMissing(const Error& error) {
  return error.code == Errc::kNotFound || error.code == Errc::kNotDirectory;
}
Result<struct stat> StatusOf(const FileDescriptor& file);
Result<> WriteAll(const FileDescriptor& file, std::span<const std::byte> bytes);
// Appends `length` bytes of `from` at `offset` to what was written to `to`.
Result<> CopyBytes(const FileDescriptor& from, uint64_t offset, uint64_t length,
                   const FileDescriptor& to);

}  // namespace shoal::embedded
