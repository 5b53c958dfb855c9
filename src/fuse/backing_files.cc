#include "fuse/backing_files.h"

#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "base/log.h"
#include "fuse/kernel_abi.h"

namespace shoal {
namespace {

// More ids are not given out between one and the note of it, on any number of threads.
constexpr int32_t kIdCountInDoubtMax = 4096;

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

Result<> BackingFiles::Start() {
  const int fd = memfd_create("shoal-passthrough", MFD_CLOEXEC);
  BackingMap map{fd, 0, 0};
  const int id = ioctl(device_fd_, kBackingOpen, &map);
  const int error = errno;
  if (fd >= 0) close(fd);
  if (id <= 0) return Fail(error == EPERM ? Errc::kDenied : Errc::kUnsupported, ReasonOf(error));
  Unregister({id, nullptr, HandOver::kNone});
  started_ = true;
  first_id_ = id;
  return {};
}

void BackingFiles::TakeOver(std::span<const KeptHandle> handles) {
  std::map<int32_t, HandOver::Token> noted;
  hand_over_.VisitLeft(HandOverRecord::Kind::kBackingFile,
                       [&](HandOver::Token token, const HandOverRecord& left) {
                         noted[static_cast<int32_t>(left.number)] = token;
                       });
  std::set<int32_t> used;
  {
    const MutexLock lock(mutex_);
    for (const KeptHandle& kept : handles) {
      if (kept.is_directory) continue;
      const int32_t id = kept.note.backing_id;
      const auto found = noted.find(id);
      modes_.JoinOrEnter(kept.inode,
                         {id, nullptr, found == noted.end() ? HandOver::kNone : found->second});
      used.insert(id);
    }
  }
  for (const auto& [id, token] : noted)
    if (!used.contains(id)) Unregister({id, nullptr, token});
  if (started_) CloseIdsNobodyNoted(used);
}

// The process before may have died right after the kernel gave it an id. The kernel gives out
// ids in order, so that such a one is among the last before the first of ours.
void BackingFiles::CloseIdsNobodyNoted(const std::set<int32_t>& used) {
  if (hand_over_.generation() < 2) return;
  for (int32_t id = std::max(1, first_id_ - kIdCountInDoubtMax); id < first_id_; ++id)
    if (!used.contains(id)) Unregister({id, nullptr, HandOver::kNone});
}

int32_t BackingFiles::Open(InodeId inode, std::shared_ptr<const WholeFile> whole, bool direct) {
  {
    const MutexLock lock(mutex_);
    if (const std::optional<Backing> open = modes_.Join(inode)) return open->id;
  }
  Backing wanted;
  if (started_ && whole && (!direct || IsInMemory(*whole))) wanted = Register(std::move(whole));
  int32_t id = 0;
  {
    const MutexLock lock(mutex_);
    id = modes_.JoinOrEnter(inode, wanted).id;
  }
  // Another open of the inode came first. Its file is not ours, even if it is the same one.
  if (wanted.id != 0 && wanted.id != id) Unregister(wanted);
  return id;
}

void BackingFiles::Close(InodeId inode) {
  std::optional<Backing> left;  // let go of outside the lock
  {
    const MutexLock lock(mutex_);
    left = modes_.Leave(inode);
  }
  if (left && left->id != 0) Unregister(*left);
}

std::string BackingFiles::refusal() const {
  const MutexLock lock(mutex_);
  return refusal_;
}

Backing BackingFiles::Register(std::shared_ptr<const WholeFile> whole) {
  BackingMap map{whole->fd(), 0, 0};
  const int id = ioctl(device_fd_, kBackingOpen, &map);
  if (id > 0)
    return {id, std::move(whole),
            hand_over_.Keep(
                {.kind = HandOverRecord::Kind::kBackingFile, .number = static_cast<uint64_t>(id)})};
  std::string reason = ReasonOf(errno);
  {
    const MutexLock lock(mutex_);
    if (!refusal_.empty()) return {};
    refusal_ = reason;
  }
  log::Warn("passthrough: not for every file: {}", reason);
  return {};
}

void BackingFiles::Unregister(const Backing& backing) {
  auto number = static_cast<uint32_t>(backing.id);
  ioctl(device_fd_, kBackingClose, &number);
  hand_over_.Drop(backing.token);
}

}  // namespace shoal
