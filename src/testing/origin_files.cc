#include "testing/origin_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

namespace shoal::embedded {
namespace {

constexpr size_t kCopyPieceBytes = 1 << 20;

auto FailErrno(int number, const std::string& what) {
  return tl::unexpected<Error>(ErrorFromErrno(number, what));
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}
std::string LeafOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

FileStamp FileStamp::Of(const struct stat& status) {
  return {static_cast<uint64_t>(status.st_size),
          status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec, status.st_ino};
}

Error ErrorFromErrno(int number, const std::string& what) {
  const std::string detail = what + ": " + std::generic_category().message(number);
  switch (number) {
    case ENOENT:
    case ELOOP:
    case EXDEV:
    case ENAMETOOLONG:
    case ENXIO:
      return {Errc::kNotFound, detail};
    case ENOTDIR:
      return {Errc::kNotDirectory, detail};
    case EISDIR:
    case ENOTEMPTY:
      return {Errc::kIsDirectory, detail};
    case ENOSPC:
    case EDQUOT:
      return {Errc::kNoSpace, detail};
    default:
      return {Errc::kUnreachable, detail};
  }
}

Result<FilesBelow> FilesBelow::Open(const std::string& path) {
  FileDescriptor directory(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return FailErrno(errno, path);
  return FilesBelow(std::move(directory));
}

Result<FileDescriptor> FilesBelow::OpenAt(const std::string& path, int flags) const {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC | O_NOFOLLOW));
  if ((flags & O_PATH) == 0) how.flags |= O_NONBLOCK;
  if ((flags & O_CREAT) != 0) how.mode = 0644;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const std::string name = path.empty() ? "." : path;
  while (true) {
    FileDescriptor file(
        static_cast<int>(syscall(SYS_openat2, directory_.get(), name.c_str(), &how, sizeof(how))));
    if (file.get() >= 0) return file;
    // EAGAIN: something was renamed while ".." was being resolved; asking again settles it.
    if (errno != EINTR && errno != EAGAIN) return FailErrno(errno, path);
  }
}

Result<> FilesBelow::MakeParents(const std::string& path) const {
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string above = path.substr(0, slash);
    if (OpenAt(above, O_PATH | O_DIRECTORY)) continue;
    ASSIGN_OR_RETURN(const FileDescriptor parent, OpenAt(ParentOf(above), O_PATH | O_DIRECTORY));
    if (mkdirat(parent.get(), LeafOf(above).c_str(), 0755) == 0) continue;
    if (errno != EEXIST) return FailErrno(errno, above);
    // Somebody made it meanwhile, or a file or a link stands there.
    if (!OpenAt(above, O_PATH | O_DIRECTORY)) return FailErrno(ENOTDIR, above);
  }
  return {};
}

Result<> FilesBelow::Rename(const std::string& from, const std::string& to) const {
  ASSIGN_OR_RETURN(const FileDescriptor source, OpenAt(ParentOf(from), O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(const FileDescriptor target, OpenAt(ParentOf(to), O_PATH | O_DIRECTORY));
  if (renameat(source.get(), LeafOf(from).c_str(), target.get(), LeafOf(to).c_str()) != 0)
    return FailErrno(errno, to);
  return {};
}

Result<> FilesBelow::Remove(const std::string& path) const {
  const auto parent = OpenAt(ParentOf(path), O_PATH | O_DIRECTORY);
  if (!parent && IsMissing(parent.error())) return {};
  if (!parent) return tl::unexpected(parent.error());
  if (unlinkat(parent->get(), LeafOf(path).c_str(), 0) != 0 && errno != ENOENT)
    return FailErrno(errno, path);
  return {};
}

Result<> FilesBelow::RemoveDirectory(const std::string& path) const {
  const auto entries = List(path);
  if (!entries && IsMissing(entries.error())) return {};
  if (!entries) return tl::unexpected(entries.error());
  for (const DirectoryEntry& entry : *entries) {
    const std::string below = path + "/" + entry.name;
    RETURN_IF_ERROR(entry.is_directory ? RemoveDirectory(below) : Remove(below));
  }
  ASSIGN_OR_RETURN(const FileDescriptor parent, OpenAt(ParentOf(path), O_PATH | O_DIRECTORY));
  if (unlinkat(parent.get(), LeafOf(path).c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return FailErrno(errno, path);
  return {};
}

Result<std::vector<DirectoryEntry>> FilesBelow::List(const std::string& path) const {
  ASSIGN_OR_RETURN(FileDescriptor opened, OpenAt(path, O_RDONLY | O_DIRECTORY));
  const int fd = dup(opened.get());  // closedir closes its own
  if (fd < 0) return FailErrno(errno, path);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd), &closedir);
  if (stream == nullptr) {
    close(fd);
    return FailErrno(ENOMEM, path);
  }
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr && errno != 0) return FailErrno(errno, path);
    if (entry == nullptr) return entries;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN) {
      struct stat status;
      if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      type = S_ISREG(status.st_mode) ? DT_REG : S_ISDIR(status.st_mode) ? DT_DIR : DT_LNK;
    }
    if (type == DT_REG || type == DT_DIR) entries.push_back({std::string(name), type == DT_DIR});
  }
}

Result<std::string> FilesBelow::ReadSmall(const std::string& path, size_t size_bytes_max) const {
  ASSIGN_OR_RETURN(const FileDescriptor file, OpenAt(path, O_RDONLY));
  ASSIGN_OR_RETURN(const struct stat status, StatusOf(file));
  if (!S_ISREG(status.st_mode)) return Fail(Errc::kNotFound, path + ": not a file");
  if (static_cast<uint64_t>(status.st_size) > size_bytes_max)
    return Fail(Errc::kInvalid, path + ": too large");
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = read(file.get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno != EINTR) return FailErrno(errno, path);
    if (got == 0) break;
    if (got > 0) filled += static_cast<size_t>(got);
  }
  text.resize(filled);
  return text;
}

Result<> FilesBelow::WriteSmall(const std::string& path, std::string_view text,
                                const std::string& temporary_path) const {
  RETURN_IF_ERROR(MakeParents(path));
  RETURN_IF_ERROR(MakeParents(temporary_path));
  ASSIGN_OR_RETURN(const FileDescriptor file, OpenAt(temporary_path, O_WRONLY | O_CREAT | O_TRUNC));
  RETURN_IF_ERROR(WriteAll(file, std::as_bytes(std::span(text))));
  return Rename(temporary_path, path);
}

Result<struct stat> StatusOf(const FileDescriptor& file) {
  struct stat status;
  if (fstat(file.get(), &status) != 0) return FailErrno(errno, "fstat");
  return status;
}

Result<> WriteAll(const FileDescriptor& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno != EINTR) return FailErrno(errno, "write");
    if (put > 0) bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

Result<> CopyBytes(const FileDescriptor& from, uint64_t offset, uint64_t length,
                   const FileDescriptor& to) {
  auto at = static_cast<off_t>(offset);
  bool in_kernel = true;
  std::vector<std::byte> piece;
  while (length > 0) {
    ssize_t moved = -1;
    if (in_kernel) {
      moved = copy_file_range(from.get(), &at, to.get(), nullptr, length, 0);
      in_kernel = moved >= 0;  // not every pair of file systems can
    }
    if (!in_kernel) {
      piece.resize(kCopyPieceBytes);
      moved = pread(from.get(), piece.data(), std::min<uint64_t>(length, piece.size()), at);
      if (moved < 0) return FailErrno(errno, "read");
      RETURN_IF_ERROR(WriteAll(to, std::span(piece).first(static_cast<size_t>(moved))));
      at += moved;
    }
    if (moved == 0) return Fail(Errc::kChanged, "the file shrank while it was copied");
    length -= static_cast<uint64_t>(moved);
  }
  return {};
}

}  // namespace shoal::embedded
