#include "base/file_lock.h"

#include <sys/file.h>

#include <chrono>
#include <thread>

namespace shoal {
namespace {

constexpr std::chrono::milliseconds kLookAgainAfter{2};

}  // namespace

bool LockWithin(int fd, Duration wait) {
  const SystemClock clock;
  const Deadline deadline = Deadline::After(clock, wait);
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (deadline.Passed(clock)) return false;
    std::this_thread::sleep_for(kLookAgainAfter);
  }
  return true;
}

}  // namespace shoal
