#include "fuse/mount_holder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cctype>
#include <filesystem>
#include <system_error>

namespace shoal {
namespace {

namespace fs = std::filesystem;

bool IsOn(const std::string& device, const std::string& path) {
  struct statx found {};
  return statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &found) == 0 &&
         fmt::format("{}:{}", found.stx_dev_major, found.stx_dev_minor) == device;
}

// The first entry of a directory that `is_it` is true for, or "". Entries of /proc may go
// meanwhile.
template <class Predicate>
std::string FindIn(const std::string& folder, Predicate is_it) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (is_it(entry->path().string())) return entry->path().string();
  return {};
}

// What the process in `folder` of /proc has of the device.
std::string HeldBy(const std::string& folder, const std::string& device) {
  for (const char* name : {"/cwd", "/root"})
    if (IsOn(device, folder + name)) return folder + name;
  return FindIn(folder + "/fd", [&](const std::string& file) { return IsOn(device, file); });
}

}  // namespace

std::string PathHeldIn(const std::string& device) {
  std::string held;
  FindIn("/proc", [&](const std::string& process) {
    if (std::isdigit(static_cast<unsigned char>(process[sizeof("/proc/") - 1])) != 0)
      held = HeldBy(process, device);
    return !held.empty();
  });
  return held;
}

}  // namespace shoal
