#include "cache/lock_holder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace shoal {
namespace {

// 0: there is no such process.
pid_t ParentOf(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  // PID (NAME) STATE PARENT ...; a name may have anything in it, ')' too.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(line.substr(name_end + 1));
  std::string state;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

}  // namespace

HeldBy HolderOfLock(int fd) {
  struct stat file {};
  HeldBy other{LockHolder::kOther};
  if (fstat(fd, &file) != 0) return other;
  // "1: FLOCK  ADVISORY  WRITE 708 00:15:9876 0 EOF". Of the file only its number is compared: the
  // device is not always the one that stat tells (btrfs).
  const std::string inode = ":" + std::to_string(file.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, mode, place;
    pid_t holder = 0;
    if (!(words >> number >> kind >> advisory >> mode >> holder >> place)) continue;
    if (kind != "FLOCK" || !place.ends_with(inode)) continue;  // who waits has "->" for a kind
    if (holder == getpid()) return {LockHolder::kThisProcess, holder};
    if (ParentOf(holder) == getppid()) return {LockHolder::kSibling, holder};
    if (holder > 0) other.process = holder;
  }
  return other;
}

}  // namespace shoal
