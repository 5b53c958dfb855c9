#include "base/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file_descriptor.h"

namespace shoal {
namespace {

constexpr size_t kFileBytesMax = 64 << 10;

}  // namespace

SecretFileState StateOfSecretFile(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {.error_number = errno};
  const auto nanoseconds = [](timespec t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
  return {.inode = status.st_ino,
          .size_bytes = status.st_size,
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

Result<std::string> ReadSecretFile(const std::string& path) {
  const auto failed = [](const std::string& what) { return Fail(Errc::kDenied, what); };
  // Of this process or of the medium, and not of the file: nothing of its state changes when it
  // is over.
  const auto unreadable = [] { return Fail(Errc::kUnreachable, std::strerror(errno)); };
  // Links are followed: Kubernetes mounts secrets as such. O_NONBLOCK: a FIFO must not hang us.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0) return unreadable();
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return unreadable();
  if (!S_ISREG(status.st_mode)) return failed("not a regular file");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return failed("open to others than its owner; run: chmod 600 " + path);
  // Its owner could read it, and put other keys in its place.
  if (status.st_uid != 0 && status.st_uid != geteuid())
    return failed("owned by another user; run: chown root " + path);

  std::string text(kFileBytesMax + 1, '\0');
  size_t size_bytes = 0;
  while (size_bytes < text.size()) {
    const ssize_t got = read(file.get(), text.data() + size_bytes, text.size() - size_bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable();
    if (got == 0) break;
    size_bytes += static_cast<size_t>(got);
  }
  if (size_bytes > kFileBytesMax) return failed("longer than 64 KiB");
  text.resize(size_bytes);
  return text;
}

}  // namespace shoal
