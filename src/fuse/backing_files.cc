#include "fuse/backing_files.h"

#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/log.h"
#include "fuse/kernel_abi.h"

namespace shoal {
namespace {

std::string ReasonOf(int error) {
  switch (error) {
    case EPERM:
      return "it needs CAP_SYS_ADMIN";
    case ELOOP:
      return "a file of the cache is on a stacked file system, such as overlayfs";
    default:
      return std::string("the kernel refused a file: ") + std::strerror(error);
  }
}

bool IsInMemory(const WholeFile& file) {
  struct statfs status;
  return fstatfs(file.fd(), &status) == 0 && status.f_type == TMPFS_MAGIC;
}

}  // namespace

BackingFiles::~BackingFiles() {
  for (const Backing& backing : modes_.All())
    if (backing.id != 0) Unregister(backing.id);
}

Result<> BackingFiles::Start() {
  const int fd = memfd_create("shoal-passthrough", MFD_CLOEXEC);
  BackingMap map{fd, 0, 0};
  const int id = ioctl(device_fd_, kBackingOpen, &map);
  const int error = errno;
  if (fd >= 0) close(fd);
  if (id <= 0) return Fail(error == EPERM ? Errc::kDenied : Errc::kUnsupported, ReasonOf(error));
  Unregister(id);
  started_ = true;
  return {};
}

int32_t BackingFiles::Open(InodeId inode, std::shared_ptr<const WholeFile> whole, bool direct) {
  if (!started_) return 0;
  {
    const std::scoped_lock lock(mutex_);
    if (const std::optional<Backing> open = modes_.Join(inode)) return open->id;
  }
  Backing wanted;
  if (whole && (!direct || IsInMemory(*whole))) wanted = Register(std::move(whole));
  int32_t id = 0;
  {
    const std::scoped_lock lock(mutex_);
    id = modes_.JoinOrEnter(inode, wanted).id;
  }
  // Another open of the inode came first. Its file is not ours, even if it is the same one.
  if (wanted.id != 0 && wanted.id != id) Unregister(wanted.id);
  return id;
}

void BackingFiles::Close(InodeId inode) {
  if (!started_) return;
  std::optional<Backing> left;  // let go of outside the lock
  {
    const std::scoped_lock lock(mutex_);
    left = modes_.Leave(inode);
  }
  if (left && left->id != 0) Unregister(left->id);
}

std::string BackingFiles::refusal() const {
  const std::scoped_lock lock(mutex_);
  return refusal_;
}

Backing BackingFiles::Register(std::shared_ptr<const WholeFile> whole) {
  BackingMap map{whole->fd(), 0, 0};
  const int id = ioctl(device_fd_, kBackingOpen, &map);
  if (id > 0) return {id, std::move(whole)};
  std::string reason = ReasonOf(errno);
  {
    const std::scoped_lock lock(mutex_);
    if (!refusal_.empty()) return {};
    refusal_ = reason;
  }
  log::Warn("passthrough: not for every file: {}", reason);
  return {};
}

void BackingFiles::Unregister(int32_t id) const {
  auto number = static_cast<uint32_t>(id);
  ioctl(device_fd_, kBackingClose, &number);
}

}  // namespace shoal
