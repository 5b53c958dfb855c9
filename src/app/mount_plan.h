// A MountState, read: what the process that serves the mount goes by.
#pragma once

#include <string>

#include "app/mount_options.h"
#include "app/mount_state.h"
#include "base/result.h"

namespace shoal {

struct MountPlan {
  std::string source;       // as typed, for findmnt
  std::string subtype;      // fuse.SUBTYPE
  std::string mount_point;  // absolute, symlinks resolved
  MountOptions options;     // origin's address and the prefix included
};

// Pure. The errors are ParseMountOptions's and ParseMountSource's.
Result<MountOptions> OptionsOf(const MountState& state);

// The same, made to fit into the memory of this machine.
Result<MountPlan> PlanOf(const MountState& state);

// The same, without the memory cache if it does not fit any more, which a notice says.
Result<MountPlan> PlanToRecover(const MountState& state);

}  // namespace shoal
