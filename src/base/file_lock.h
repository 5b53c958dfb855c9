// flock(2) that is waited for, and not without bound.
#pragma once

#include "base/clock.h"

namespace shoal {

// Whether this descriptor has the file for itself within `wait` (zero: at once). Looks again every
// few milliseconds: the kernel has no limit for it. What is locked goes with the descriptor.
[[nodiscard]] bool LockWithin(int fd, Duration wait);

}  // namespace shoal
