// Whether the kernel lets FUSE use io_uring, and this process: a parameter of its fuse module, and
// what forbids io_uring altogether.
#pragma once

#include <string>

#include "base/result.h"

namespace shoal {

// Why the kernel offers no io_uring for FUSE, when it does not: too old, or switched off.
std::string WhyNoIoUring();

// Switches /sys/module/fuse/parameters/enable_uring on; new mounts then have it. kUnsupported:
// the kernel has no such switch; kDenied: not root.
Result<> EnableIoUring();

// Whether this process may make a ring at all. kDenied: kernel.io_uring_disabled, or a filter of
// system calls, as containers have; kUnsupported: the kernel has none.
Result<> TryIoUring();

}  // namespace shoal
