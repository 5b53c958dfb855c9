// Which process has the flock of a file.
#pragma once

#include <cstdint>

namespace shoal {

enum class LockHolder : uint8_t {
  kThisProcess,
  kSibling,  // of the same parent, as the one that served a mount before this one did
  kOther,    // or nobody says: who is in another container is not to be seen
};

// Of /proc/locks; see proc(5).
LockHolder HolderOfLock(int fd);

}  // namespace shoal
