// The daemon: opens the bucket, mounts, and serves until it is unmounted or told to stop.
#pragma once

#include <string>

#include "app/background.h"
#include "app/mount_options.h"

namespace shoal {

struct MountPlan {
  std::string source;       // as typed, for findmnt
  std::string subtype;      // fuse.SUBTYPE
  std::string mount_point;  // absolute, symlinks resolved
  MountOptions options;     // origin's address and the prefix included
};

// The exit status: 0 after umount or a signal. `report` is told once: success when the
// mount is about to answer, or why it will not. Makes threads, and gives up core
// dumps for the life of the process: there are secrets in it.
//
// The process never touches its own mount: a thread that waits for an answer of its own
// process cannot be killed, and would keep a killed daemon's mount hanging for ever.
int ServeMount(const MountPlan& plan, const ReportVerdict& report);

}  // namespace shoal
