#include "app/mount_point.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "base/log.h"

namespace shoal {
namespace {

auto FailPath(const std::string& path, int error) {
  const std::string name = log::Printable(path);
  if (error == ENOENT)
    return Fail(Errc::kNotFound, fmt::format("mount point {} does not exist", name));
  return Fail(error == ENOTDIR ? Errc::kNotDirectory : Errc::kInvalid,
              fmt::format("mount point {}: {}", name, std::strerror(error)));
}

}  // namespace

Result<std::string> ResolveMountPoint(std::string path) {
  if (path.empty()) return Fail(Errc::kInvalid, "the mount point is an empty text");
  // With a slash behind it, realpath would look into the last component.
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) return FailPath(path, errno);
  return std::string(resolved);
}

Result<> CheckMountPoint(const std::string& resolved) {
  struct statx status {};
  if (statx(AT_FDCWD, resolved.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0) {
    if (errno == ENOTCONN) return {};
    return FailPath(resolved, errno);
  }
  if (!S_ISDIR(status.stx_mode))
    return Fail(Errc::kNotDirectory,
                fmt::format("mount point {} is not a directory", log::Printable(resolved)));
  return {};
}

}  // namespace shoal
