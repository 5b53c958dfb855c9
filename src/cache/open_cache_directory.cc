#include "cache/open_cache_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "cache/cache_directory.h"
#include "cache/guarded_files.h"
#include "cache/lock_holder.h"
#include "cache/memory_medium.h"
#include "cache/shelved_storage.h"

namespace shoal {
namespace {

constexpr char kShelves[] = "shelves";
// Version 1 had no shelves; what it left is used as it is.
constexpr std::string_view kFormat = "shoal cache 2\n";
constexpr std::string_view kOlderFormat = "shoal cache 1\n";

// One process at a time. The lock goes with the process, however it ends.
Result<FileDescriptor> Lock(int root_fd, const std::string& name) {
  FileDescriptor lock =
      OpenBelow(root_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
  struct stat lock_stat {};
  if (!lock.valid()) return FailSystem("opening " + name + "/lock");
  if (!IsOurs(lock.get(), lock_stat))
    return Fail(Errc::kInvalid, name + "/lock is not a plain file of ours");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return FailSystem("locking " + name);
  const HeldBy held = HolderOfLock(lock.get());
  switch (held.who) {
    case LockHolder::kThisProcess:
      return Fail(Errc::kInvalid, name + " is named twice");
    case LockHolder::kSibling:
      return Fail(Errc::kTimedOut, "the process that served before does not let go of " + name);
    case LockHolder::kOther:
      break;
  }
  const std::string process =
      held.process == 0 ? "" : " (process " + std::to_string(held.process) + ")";
  return Fail(Errc::kBusy, name + " is the cache of another mount" + process +
                               ": give each mount a directory of its own");
}

// "shoal cache N" and a line end, as every version writes it.
bool NamesAVersion(std::string_view format) {
  constexpr std::string_view kStart = "shoal cache ";
  if (!format.starts_with(kStart) || !format.ends_with('\n')) return false;
  const std::string_view number = format.substr(kStart.size(), format.size() - kStart.size() - 1);
  return !number.empty() && !number.starts_with('0') &&
         number.find_first_not_of("0123456789") == number.npos;
}

// Writes which format this is, or refuses another. What names none was damaged, and nothing is
// lost with it: all that is kept says its own format, and has checksums.
Result<> CheckFormat(int root_fd, const std::string& name) {
  const FileDescriptor file =
      OpenBelow(root_fd, "FORMAT", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
  struct stat file_stat {};
  if (!file.valid()) return FailSystem("opening " + name + "/FORMAT");
  if (!IsOurs(file.get(), file_stat))
    return Fail(Errc::kInvalid, name + "/FORMAT is not a plain file of ours");
  std::array<char, 64> found{};
  const ssize_t count = pread(file.get(), found.data(), found.size(), 0);
  if (count < 0) return FailSystem("reading " + name + "/FORMAT");
  const std::string_view text(found.data(), static_cast<size_t>(count));
  if (text == kFormat) return {};
  const bool is_older = text == kOlderFormat;
  if (NamesAVersion(text) && !is_older)
    return Fail(Errc::kInvalid, name +
                                    " holds a cache of another version: remove it, or name another "
                                    "path");
  if (!text.empty() && !is_older) log::Warn("{}/FORMAT was damaged, and is written anew", name);
  if (pwrite(file.get(), kFormat.data(), kFormat.size(), 0) !=
          static_cast<ssize_t>(kFormat.size()) ||
      ftruncate(file.get(), kFormat.size()) != 0)
    return FailSystem("writing " + name + "/FORMAT");
  return {};
}

}  // namespace

Result<std::unique_ptr<CacheStorage>> OpenCacheDirectory(const std::string& path,
                                                         const CacheDirectoryOptions& options) {
  const FileDescriptor parent(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) {
    const int error = errno;
    return Fail(error == ENOENT || error == ENOTDIR ? Errc::kInvalid : Errc::kUnreachable,
                "the cache directory " + path + ": " + std::strerror(error));
  }
  const std::string name = CacheDirectoryName(path);
  ASSIGN_OR_RETURN(FileDescriptor root, OpenFolder(parent.get(), "shoal-cache", name));
  ASSIGN_OR_RETURN(FileDescriptor lock, Lock(root.get(), name));
  RETURN_IF_ERROR(CheckFormat(root.get(), name));
  ASSIGN_OR_RETURN(FileDescriptor shelves, OpenFolder(root.get(), kShelves, name + "/shelves"));
  auto directory =
      std::make_unique<CacheDirectory>(name, /*in_memory=*/false, std::move(root), std::move(lock));
  RETURN_IF_ERROR(directory->Prepare(options.capacity_bytes));
  QuarantineFolder& quarantine = directory->quarantine();
  return std::make_unique<ShelvedStorage>(std::move(directory), std::move(shelves), quarantine,
                                          options.shelved_below_bytes, /*in_memory=*/false);
}

std::string CacheDirectoryName(const std::string& path) {
  return path + (path.ends_with('/') ? "" : "/") + "shoal-cache";
}

Result<std::unique_ptr<CacheStorage>> OpenMemoryStorage(FileDescriptor medium,
                                                        const CacheDirectoryOptions& options) {
  FileDescriptor root(openat(medium.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return FailSystem("a tmpfs for the memory cache");
  // Of another version, it is of no use.
  if (!CheckFormat(root.get(), "memory")) {
    ClearMemoryMedium(medium.get());
    RETURN_IF_ERROR(CheckFormat(root.get(), "memory"));
  }
  ASSIGN_OR_RETURN(FileDescriptor shelves, OpenFolder(root.get(), kShelves, "memory/shelves"));
  // The mount's own descriptor is kept in place of a lock: the tmpfs lives as long as it.
  auto directory = std::make_unique<CacheDirectory>("memory", /*in_memory=*/true, std::move(root),
                                                    std::move(medium));
  RETURN_IF_ERROR(directory->Resize(options.capacity_bytes));
  RETURN_IF_ERROR(directory->Prepare(options.capacity_bytes));
  QuarantineFolder& quarantine = directory->quarantine();
  return std::make_unique<ShelvedStorage>(std::move(directory), std::move(shelves), quarantine,
                                          options.shelved_below_bytes, /*in_memory=*/true);
}

}  // namespace shoal
