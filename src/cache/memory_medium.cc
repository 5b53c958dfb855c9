#include "cache/memory_medium.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "cache/guarded_files.h"

namespace shoal {
namespace {

// The volume keeps to its capacity by itself; what this leaves beyond is for directories.
std::string TmpfsSize(uint64_t capacity_bytes) {
  constexpr uint64_t kSlackBytes = uint64_t{64} << 20;
  return std::to_string(capacity_bytes + kSlackBytes);
}

}  // namespace

Result<FileDescriptor> MakeMemoryMedium() {
  const FileDescriptor context(fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context.valid()) return FailSystem("a tmpfs for the memory cache");
  const auto set = [&](const char* key, const std::string& value) {
    return fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
  };
  if (!set("size", TmpfsSize(0)) || !set("nr_inodes", "0") || !set("mode", "0700"))
    return FailSystem("a tmpfs for the memory cache");
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return FailSystem("a tmpfs for the memory cache");
  FileDescriptor mount(
      fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (!mount.valid()) return FailSystem("a tmpfs for the memory cache");
  return mount;
}

Result<> ResizeMemoryMedium(int medium_fd, uint64_t capacity_bytes) {
  const FileDescriptor context(fspick(medium_fd, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
  if (!context.valid() ||
      fsconfig(context.get(), FSCONFIG_SET_STRING, "size", TmpfsSize(capacity_bytes).c_str(), 0) !=
          0 ||
      fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) != 0)
    return FailSystem("the size of the memory cache");
  return {};
}

void ClearMemoryMedium(int medium_fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(medium_fd) + "/.";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored))
    std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace shoal
