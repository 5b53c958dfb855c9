#include "app/state_lock.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file_lock.h"
#include "cache/lock_holder.h"

namespace shoal {

Result<StateLock> StateLock::Take(const std::string& directory, Duration wait) {
  FileDescriptor held(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!held.valid())
    return Fail(errno == ENOENT ? Errc::kNotFound : Errc::kUnreachable,
                fmt::format("{}: {}", directory, std::strerror(errno)));
  if (LockWithin(held.get(), wait)) return StateLock(std::move(held));
  const pid_t holder = HolderOfLock(held.get()).process;
  return Fail(Errc::kBusy,
              fmt::format("{} changes this mount just now: try again, or end it if it hangs",
                          holder > 0 ? fmt::format("process {}", holder) : "another process"));
}

}  // namespace shoal
