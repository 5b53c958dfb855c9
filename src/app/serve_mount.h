// The worker: opens the bucket, and serves a mount until it is unmounted or told to stop.
#pragma once

#include "app/mount_memory.h"
#include "app/mount_plan.h"
#include "app/mount_state.h"

namespace shoal {

// What its keeper gave it.
struct WorkerSeat {
  int device_fd = -1;     // of /dev/fuse; the keeper mounts it
  int medium_fd = -1;     // of the memory cache (memory_medium.h), or -1
  int rings_fd = -1;      // the memory of the rings (fuse/session.h), or -1
  int keeper_fd = -1;     // worker_message.h
  bool attaches = false;  // the mount was served before
  // By one that died: then nothing stops this one that readers can do without, as a cache or the
  // admin port. The log says what is missing.
  bool recovers = false;
};

// The exit status: 0 after umount or SIGTERM. Makes threads (base/start_thread.h: from where they
// may not be had), and gives up core dumps for the life of the process: there are secrets in it.
//
// The process never touches its own mount: a thread that waits for an answer of its own
// process cannot be killed, and would keep a killed daemon's mount hanging for ever.
int ServeMount(const MountPlan& plan, const MountState& state, MountMemory& memory,
               const WorkerSeat& seat);

}  // namespace shoal
