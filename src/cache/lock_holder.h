// Which process has the flock of a file.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace shoal {

enum class LockHolder : uint8_t {
  kThisProcess,
  kSibling,  // of the same parent, as the one that served a mount before this one did
  kOther,    // or nobody says: who is in another container is not to be seen
};

struct HeldBy {
  LockHolder who;
  pid_t process = 0;  // 0: nobody says
};

// Of /proc/locks; see proc(5).
HeldBy HolderOfLock(int fd);

}  // namespace shoal
