#include "app/state_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

namespace shoal {
namespace {

constexpr std::chrono::milliseconds kTryEvery{20};

// As /proc/locks has it: "1: FLOCK  ADVISORY  WRITE 17 00:1a:4711 0 EOF".
std::string HolderOf(int fd) {
  struct stat status {};
  fstat(fd, &status);
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(status.st_dev), minor(status.st_dev), status.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, access, pid, file;
    words >> number >> kind >> mode >> access >> pid >> file;
    if (kind == "FLOCK" && file == wanted) return "process " + pid;
  }
  return "another process";
}

}  // namespace

Result<StateLock> StateLock::Take(const std::string& directory, Duration wait) {
  FileDescriptor held(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!held.valid())
    return Fail(errno == ENOENT ? Errc::kNotFound : Errc::kUnreachable,
                fmt::format("{}: {}", directory, std::strerror(errno)));
  const SystemClock clock;
  const Deadline deadline = Deadline::After(clock, wait);
  while (flock(held.get(), LOCK_EX | LOCK_NB) != 0) {
    if (deadline.Passed(clock))
      return Fail(Errc::kBusy,
                  fmt::format("{} changes this mount just now: try again, or end it if it hangs",
                              HolderOf(held.get())));
    std::this_thread::sleep_for(kTryEvery);
  }
  return StateLock(std::move(held));
}

}  // namespace shoal
