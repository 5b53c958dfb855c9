// Mounting and unmounting, by mount(2): needs CAP_SYS_ADMIN.
#pragma once

#include <string>

#include "base/result.h"

namespace shoal {

struct MountRequest {
  std::string source;       // shows as SOURCE in findmnt, e.g. "bucket.endpoint:/prefix"
  std::string subtype;      // shows as fuse.SUBTYPE
  std::string mount_point;  // absolute, existing directory
  unsigned long flags = 0;  // MS_* beside MS_RDONLY|MS_NOSUID|MS_NODEV, which are always set
};

// A descriptor of /dev/fuse, close-on-exec, that nothing is mounted with yet. kUnsupported:
// there is none; kDenied.
Result<int> OpenDevice();

// Mounts with it; once. A dead FUSE mount left on
// the path by a daemon that was killed is unmounted first, and the log says so.
// kNotFound, kNotDirectory: the mount point; kBusy: already a live mount of ours;
// kDenied: not root.
Result<> Mount(const MountRequest& request, int device_fd);
// Both of them: the descriptor.
Result<int> Mount(const MountRequest& request);

// Idempotent. `lazy` detaches a mount that is in use.
Result<> Unmount(const std::string& mount_point, bool lazy);

// Fails what programs wait for and whatever they ask from now on, wherever the mount is and whoever
// has its descriptor. `device` is its "MAJOR:MINOR". Leaves it mounted. REQUIRES: it is there, or
// another may have its number by now.
Result<> AbortConnection(const std::string& device);

// Whether the file system `device` is mounted somewhere still, in whichever mount namespace. False
// also where that cannot be found out.
bool IsConnected(const std::string& device);

// The same as Unmount, not lazy, of a mount that nobody is to serve any more: what programs wait
// for fails, even if a process that cannot be ended has its device.
Result<> UnmountByForce(const std::string& mount_point);

}  // namespace shoal
