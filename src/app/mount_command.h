// `shoal mount`, and the same as a helper of mount(8).
#pragma once

#include "app/mount_arguments.h"

namespace shoal {

// Returns when the mount answers, and leaves a daemon that serves it; in the foreground,
// when the mount has ended. The exit status; what failed is on stderr. `name` lives as
// long as the call.
int RunMountCommand(int argc, const char* const* argv, const MountCommandName& name);

}  // namespace shoal
