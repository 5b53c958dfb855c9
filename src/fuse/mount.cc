#include "fuse/mount.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/file_descriptor.h"
#include "base/log.h"
#include "fuse/mount_table.h"

namespace shoal {
namespace {

constexpr int kProbeWaitMs = 2000;
// Each is one daemon that was killed and mounted over since.
constexpr int kDeadMountCountMax = 64;

Errc CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return Errc::kNotFound;
    case ENOTDIR:
      return Errc::kNotDirectory;
    case EPERM:
    case EACCES:
      return Errc::kDenied;
    case EBUSY:
      return Errc::kBusy;
    default:
      return Errc::kInvalid;
  }
}

tl::unexpected<Error> FailSystem(const std::string& what, int error) {
  return Fail(CodeOf(error), what + ": " + std::strerror(error));
}

// Root in a container often has not the right to mount.
constexpr std::string_view kMountingTakes = " (mounting takes CAP_SYS_ADMIN)";

tl::unexpected<Error> FailMounting(const std::string& what, int error) {
  tl::unexpected<Error> failed = FailSystem(what, error);
  if (error == EPERM) failed.value().detail += kMountingTakes;
  return failed;
}

bool IsFuse(const MountEntry& mount) {
  return mount.type == "fuse" || mount.type.starts_with("fuse.");
}

// Symlinks resolved. Does not ask a file system mounted on the path itself: the last
// component is only looked at as a name, for which it must have no slash behind it.
Result<std::string> Resolve(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) return FailSystem(path, errno);
  return std::string(resolved);
}

// The directory of all connections: a file system that need not be mounted here, nor is.
Result<FileDescriptor> Connections() {
  const FileDescriptor made(fsopen("fusectl", FSOPEN_CLOEXEC));
  if (!made.valid() || fsconfig(made.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return FailSystem("fusectl", errno);
  FileDescriptor connections(fsmount(made.get(), FSMOUNT_CLOEXEC, 0));
  if (!connections.valid()) return FailSystem("fusectl", errno);
  return connections;
}

// Named by the minor number.
std::string ConnectionOf(const std::string& device) {
  return device.substr(device.find(':') + 1);
}

enum class Health : uint8_t { kAnswers, kDead, kSilent };

// A statfs of a mount that hangs cannot be ended, not even by a signal: a child does it.
Health Probe(const std::string& mount_point) {
  const char* const path = mount_point.c_str();
  const pid_t child = fork();
  if (child < 0) return Health::kSilent;
  if (child == 0) {
    struct statfs unused;
    _exit(statfs(path, &unused) != 0 && errno == ENOTCONN ? 1 : 0);
  }
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  pollfd ended{pidfd, POLLIN, 0};
  const bool answered = pidfd >= 0 && poll(&ended, 1, kProbeWaitMs) == 1;
  if (pidfd >= 0) close(pidfd);
  if (!answered) {
    kill(child, SIGKILL);  // it ends when the mount does
    waitpid(child, nullptr, WNOHANG);
    return Health::kSilent;
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1 ? Health::kDead : Health::kAnswers;
}

Result<> UnmountWith(const std::string& mount_point, int flags) {
  if (umount2(mount_point.c_str(), UMOUNT_NOFOLLOW | flags) == 0) return {};
  if (errno == EINVAL || errno == ENOENT) return {};  // nothing is mounted there
  return FailMounting("unmounting " + mount_point, errno);
}

// Unmounts what dead daemons left at the path. kBusy: a live mount of `type` is there.
Result<> ClearMountPoint(const std::string& mount_point, const std::string& type) {
  for (int i = 0; i < kDeadMountCountMax; ++i) {
    ASSIGN_OR_RETURN(const std::vector<MountEntry> mounts, MountsAt(mount_point));
    if (mounts.empty() || !IsFuse(mounts.back())) return {};
    const MountEntry& top = mounts.back();
    const Health health = Probe(mount_point);
    if (health != Health::kDead) {
      if (top.type != type) return {};
      return Fail(Errc::kBusy, mount_point + " is already mounted, from " + top.source +
                                   (health == Health::kSilent ? ", and does not answer" : ""));
    }
    log::Warn("{}: unmounting {} ({}), whose daemon is gone", mount_point,
              log::Printable(top.source), top.type);
    RETURN_IF_ERROR(Unmount(mount_point, /*lazy=*/true));
  }
  return Fail(Errc::kBusy, mount_point + ": more dead mounts than can be right");
}

}  // namespace

Result<int> OpenDevice() {
  const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd < 0 && (errno == EPERM || errno == EACCES))
    return Fail(Errc::kDenied, std::string("/dev/fuse: ") + std::strerror(errno) +
                                   " (a container has to be given the device)");
  if (fd < 0)
    return Fail(Errc::kUnsupported, std::string("/dev/fuse: ") + std::strerror(errno) +
                                        " (is the fuse module loaded?)");
  return fd;
}

Result<> Mount(const MountRequest& request, int device_fd) {
  const std::string type = "fuse." + request.subtype;
  ASSIGN_OR_RETURN(const std::string mount_point, Resolve(request.mount_point));
  RETURN_IF_ERROR(ClearMountPoint(mount_point, type));

  struct statx status {};
  if (statx(AT_FDCWD, mount_point.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0)
    return FailSystem(mount_point, errno);
  if (!S_ISDIR(status.stx_mode)) return FailSystem(mount_point, ENOTDIR);

  const std::string options =
      "fd=" + std::to_string(device_fd) +
      ",rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other,max_read=1048576";
  const unsigned long flags = request.flags | MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (mount(request.source.c_str(), mount_point.c_str(), type.c_str(), flags, options.c_str()) != 0)
    return FailMounting("mounting on " + mount_point, errno);
  return {};
}

Result<int> Mount(const MountRequest& request) {
  ASSIGN_OR_RETURN(const int fd, OpenDevice());
  const Result<> mounted = Mount(request, fd);
  if (mounted) return fd;
  close(fd);
  return tl::unexpected(mounted.error());
}

Result<> Unmount(const std::string& mount_point, bool lazy) {
  return UnmountWith(mount_point, lazy ? MNT_DETACH : 0);
}

Result<> AbortConnection(const std::string& device) {
  ASSIGN_OR_RETURN(const FileDescriptor connections, Connections());
  const std::string file = ConnectionOf(device) + "/abort";
  const FileDescriptor abort(openat(connections.get(), file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!abort.valid() || write(abort.get(), "1", 1) != 1)
    return FailSystem("fusectl: " + file, errno);
  return {};
}

bool IsConnected(const std::string& device) {
  const auto connections = Connections();
  return connections && faccessat(connections->get(), ConnectionOf(device).c_str(), F_OK, 0) == 0;
}

Result<> UnmountByForce(const std::string& mount_point) {
  return UnmountWith(mount_point, MNT_FORCE);
}

}  // namespace shoal
