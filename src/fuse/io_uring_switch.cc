#include "fuse/io_uring_switch.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace shoal {
namespace {

constexpr char kSwitchPath[] = "/sys/module/fuse/parameters/enable_uring";

}  // namespace

std::string WhyNoIoUring() {
  std::string value;
  if (!std::getline(std::ifstream(kSwitchPath), value))
    return "the kernel has no FUSE over io_uring";
  if (!value.starts_with('Y')) return std::string(kSwitchPath) + " is " + value;
  return "the kernel does not offer it on this mount";
}

Result<> EnableIoUring() {
  std::string value;
  if (std::getline(std::ifstream(kSwitchPath), value) && value.starts_with('Y')) return {};
  const int fd = open(kSwitchPath, O_WRONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    return Fail(Errc::kUnsupported, "the kernel has no FUSE over io_uring");
  const ssize_t written = fd < 0 ? -1 : write(fd, "Y", 1);
  const int error = errno;
  if (fd >= 0) close(fd);
  if (written == 1) return {};
  return Fail(Errc::kDenied, std::string(kSwitchPath) + ": " + std::strerror(error));
}

Result<> TryIoUring() {
  io_uring_params params{};
  const long fd = syscall(SYS_io_uring_setup, 1, &params);
  if (fd >= 0) {
    close(static_cast<int>(fd));
    return {};
  }
  return Fail(errno == ENOSYS ? Errc::kUnsupported : Errc::kDenied,
              std::string("io_uring_setup: ") + std::strerror(errno));
}

}  // namespace shoal
