#include "app/keeper_mount.h"

#include <fmt/format.h>
#include <poll.h>

#include "app/keeper_socket.h"
#include "app/mount_state.h"
#include "base/log.h"
#include "fuse/mount.h"
#include "fuse/mount_table.h"

namespace shoal {

Result<> KeeperMount::RefuseToCoverAnother(const std::string& directory) {
  if (!IsKept(directory)) return {};
  const auto other = ReadMountState(directory + "/state.json");
  ASSIGN_OR_RETURN(const auto mounts, MountsAt(plan_.mount_point));
  if (!other || mounts.empty() || mounts.back().type != "fuse." + other->subtype) return {};
  return Fail(Errc::kBusy, fmt::format("{} is already mounted, from {}", plan_.mount_point,
                                       log::Printable(other->source)));
}

Result<> KeeperMount::OpenDevice() {
  ASSIGN_OR_RETURN(const int device_fd, shoal::OpenDevice());
  device_fd_ = FileDescriptor(device_fd);
  return {};
}

Result<> KeeperMount::Mount() {
  RETURN_IF_ERROR(shoal::Mount({.source = plan_.source,
                                .subtype = plan_.subtype,
                                .mount_point = plan_.mount_point,
                                .flags = plan_.options.mount_flags},
                               device_fd_.get()));
  mounted_ = true;
  const auto mounts = MountsAt(plan_.mount_point);
  if (mounts && !mounts->empty()) device_ = mounts->back().device;
  return {};
}

bool KeeperMount::IsUnmounted() const {
  pollfd device{device_fd_.get(), 0, 0};
  return poll(&device, 1, 0) == 1;
}

// Closing the descriptor would do, but for workers that a hung disk keeps from ending, and so from
// closing their own.
void KeeperMount::FailAllCalls() {
  if (!device_.empty() && !IsUnmounted())
    if (const auto aborted = AbortConnection(device_); !aborted)
      log::Warn("{}", aborted.error().detail);
  device_fd_ = {};
}

void KeeperMount::Remove() {
  // What is on top there now may be somebody else's.
  const auto mounts = MountsAt(plan_.mount_point);
  if (!mounts || mounts->empty() || mounts->back().device != device_) return;
  if (UnmountByForce(plan_.mount_point)) return;
  const auto detached = Unmount(plan_.mount_point, /*lazy=*/true);
  if (!detached) log::Error("{}", detached.error().detail);
}

void KeeperMount::GiveUp() {
  device_fd_ = {};
  if (mounted_) Remove();
}

}  // namespace shoal
