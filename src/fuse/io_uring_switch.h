// Whether the kernel lets FUSE use io_uring: a parameter of its fuse module.
#pragma once

#include <string>

#include "base/result.h"

namespace shoal {

// Why the kernel offers no io_uring for FUSE, when it does not: too old, or switched off.
std::string WhyNoIoUring();

// Switches /sys/module/fuse/parameters/enable_uring on; new mounts then have it. kUnsupported:
// the kernel has no such switch; kDenied: not root.
Result<> EnableIoUring();

}  // namespace shoal
