// For a process that is about to read keys or tokens.
#pragma once

#include <sys/prctl.h>

namespace shoal {

// From now on this process leaves no core, whatever its limits say, and no other user may look
// into its memory (prctl(2), PR_SET_DUMPABLE).
inline void LeaveNoCore() {
  prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace shoal
