#include "cache/guarded_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "cache/cache_storage.h"

namespace shoal {
namespace {

// Of a part of a file; a `length` of 0 is up to the end. Empty: the kernel does not say, as those
// before Linux 6.5, or of a file of an overlay, whose pages are another file's.
std::optional<uint64_t> PagesInMemory(int fd, uint64_t offset, uint64_t length,
                                      const struct statfs& file_system) {
  constexpr long kCachestat = 451;  // on every architecture; the headers may be older
  struct {
    uint64_t offset;
    uint64_t length;
  } part{offset, length};
  struct {
    uint64_t cached, dirty, written_back, evicted, recently_evicted;
  } pages{};
  if (file_system.f_type == OVERLAYFS_SUPER_MAGIC || syscall(kCachestat, fd, &part, &pages, 0) != 0)
    return std::nullopt;
  return pages.cached;
}

}  // namespace

Error SystemError(const std::string& what) {
  const int error = errno;
  Errc code = Errc::kUnreachable;
  if (error == ENOENT) code = Errc::kNotFound;
  if (error == EEXIST) code = Errc::kBusy;
  if (error == EFBIG) code = Errc::kInvalid;
  // A link, a socket, a directory.
  if (error == ELOOP || error == ENXIO || error == EISDIR) code = Errc::kInvalid;
  if (error == ENOSPC || error == EDQUOT) code = Errc::kNoSpace;
  return {code, what + ": " + std::strerror(error)};
}

uint64_t BlocksOf(const struct stat& file) {
  return (static_cast<uint64_t>(file.st_blocks) * 512 + kCacheBlockBytes - 1) / kCacheBlockBytes;
}

FileDescriptor OpenBelow(int directory_fd, const char* path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return FileDescriptor(
      static_cast<int>(syscall(SYS_openat2, directory_fd, path, &how, sizeof(how))));
}

Result<FileDescriptor> OpenFolder(int parent_fd, const char* name, const std::string& shown,
                                  bool make) {
  if (make && faccessat(parent_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
      mkdirat(parent_fd, name, 0700) != 0 && errno != EEXIST)
    return FailSystem("making " + shown);
  FileDescriptor folder = OpenBelow(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder.valid()) {
    const bool foreign = errno == ELOOP || errno == ENOTDIR || errno == EXDEV;
    if (foreign) return Fail(Errc::kInvalid, shown + " is not a plain directory");
    return FailSystem("opening " + shown);
  }
  struct stat folder_stat {};
  if (fstat(folder.get(), &folder_stat) != 0) return FailSystem("looking at " + shown);
  if (folder_stat.st_uid != geteuid())
    return Fail(Errc::kDenied, shown + " belongs to another user: remove it, or name another path");
  if ((folder_stat.st_mode & 0777) != 0700 && fchmod(folder.get(), 0700) != 0)
    return FailSystem("closing " + shown + " to others");
  return folder;
}

Result<> ForEachName(int folder_fd, const std::string& shown,
                     const std::function<void(std::string)>& visit) {
  const int own_fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const directory = own_fd < 0 ? nullptr : fdopendir(own_fd);
  if (directory == nullptr) {
    Result<> failed = FailSystem("reading " + shown);
    if (own_fd >= 0) close(own_fd);
    return failed;
  }
  errno = 0;
  while (const dirent* const entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") visit(std::string(name));
    errno = 0;
  }
  Result<> outcome;
  if (errno != 0) outcome = FailSystem("reading " + shown);
  closedir(directory);
  return outcome;
}

bool IsOurs(int fd, struct stat& file) {
  return fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
         file.st_nlink == 1;
}

Result<> ReadAt(int fd, uint64_t offset, std::span<std::byte> out, const std::string& shown) {
  while (!out.empty()) {
    const ssize_t count = pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailSystem("reading " + shown);
    if (count == 0) {
      std::ranges::fill(out, std::byte{0});
      return {};
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

bool ReadAtNow(int fd, uint64_t offset, std::span<std::byte> out, bool in_memory) {
  const iovec part{out.data(), out.size()};
  // tmpfs does not know the flag, and need not.
  const int flags = in_memory ? 0 : RWF_NOWAIT;
  return preadv2(fd, &part, 1, static_cast<off_t>(offset), flags) ==
         static_cast<ssize_t>(out.size());
}

Result<> WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes,
                 const std::string& shown) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailSystem("writing " + shown);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Result<> SyncFile(int fd, const std::string& shown) {
  if (fdatasync(fd) != 0) return FailSystem("writing out " + shown);
  return {};
}

// Linux keeps an error of writing out with the file, and tells each descriptor once, here after
// it has waited for a range that no file reaches.
Result<> ConfirmWritten(int fd, const std::string& shown) {
  constexpr off_t kBeyondAnyFile = std::numeric_limits<off_t>::max() - (1 << 20);
  if (sync_file_range(fd, kBeyondAnyFile, 4096, SYNC_FILE_RANGE_WAIT_BEFORE) != 0 &&
      errno != EINVAL && errno != ENOSYS)
    return FailSystem("writing out " + shown);
  return {};
}

bool DropPages(int fd, uint64_t offset, uint64_t length, bool waits) {
  struct statfs file_system {};
  if (fstatfs(fd, &file_system) != 0) return false;
  if (file_system.f_type == TMPFS_MAGIC || file_system.f_type == RAMFS_MAGIC) return true;
  const auto begin = static_cast<off_t>(offset);
  const auto size = static_cast<off_t>(length);
  // What is not written out yet stays, but is on its way then.
  (void)posix_fadvise(fd, begin, size, POSIX_FADV_DONTNEED);
  const std::optional<uint64_t> left = PagesInMemory(fd, offset, length, file_system);
  if (left == 0) return true;
  if (!waits) return false;
  // By a descriptor of its own: of an error, which is told once to each, ConfirmWritten is to hear
  // as well.
  const std::string again = "/proc/self/fd/" + std::to_string(fd);
  const FileDescriptor own(open(again.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  constexpr unsigned kWritesOut =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  if (!own.valid()) return false;
  if ((left ? sync_file_range(own.get(), begin, size, kWritesOut) : fdatasync(own.get())) != 0)
    return false;
  (void)posix_fadvise(fd, begin, size, POSIX_FADV_DONTNEED);
  // Where the kernel does not say, it is believed: before Linux 6.9 no file was given out that
  // somebody might map.
  return !left || PagesInMemory(fd, offset, length, file_system) == 0;
}

}  // namespace shoal
