// The process that mounts, and lives as long as the mount does. It holds the descriptor of
// /dev/fuse and the mount's memory; a child, the worker, serves. A worker that dies is
// started again, and what the kernel had asked of it is asked of the next one: programs wait
// for a moment and notice nothing else. The same way a worker is replaced when options change.
//
// It has one thread, reads no request and knows no bucket: there is next to nothing in it to
// fail. If it is killed all the same the worker goes with it, and the mount is dead.
#pragma once

#include "app/background.h"
#include "app/mount_plan.h"
#include "app/mount_state.h"

namespace shoal {

// The exit status: 0 after umount or a signal; kExitFailure if no worker comes back, and then
// the dead mount stays, so that nobody takes the empty directory below for the bucket.
// `report` is told once: success when the mount is about to answer, or why it will not.
// REQUIRES: this process has one thread.
int RunKeeper(const MountPlan& plan, const MountState& state, const ReportVerdict& report);

}  // namespace shoal
