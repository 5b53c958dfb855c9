#include "cache/cache_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file_descriptor.h"
#include "base/log.h"
#include "base/mutex.h"
#include "cache/guarded_files.h"
#include "cache/lock_holder.h"
#include "cache/quarantine_folder.h"
#include "cache/shelved_storage.h"
#include "cache/stored_files.h"

namespace shoal {
namespace {

constexpr std::string_view kDataSuffix = ".data";
constexpr std::string_view kMetaSuffix = ".meta";
constexpr char kQuarantine[] = "quarantine";
constexpr char kShelves[] = "shelves";
// Version 1 had no shelves; what it left is used as it is.
constexpr std::string_view kFormat = "shoal cache 2\n";
constexpr std::string_view kOlderFormat = "shoal cache 1\n";
constexpr size_t kFolderCount = 256;
constexpr uint64_t kFormatBlocks = 1;  // the file FORMAT

// The volume keeps to its capacity by itself; what this leaves beyond is for directories.
std::string TmpfsSize(uint64_t capacity_bytes) {
  constexpr uint64_t kSlackBytes = uint64_t{64} << 20;
  return std::to_string(capacity_bytes + kSlackBytes);
}

class CacheDirectory final : public CacheStorage {
 public:
  CacheDirectory(std::string name, bool in_memory, FileDescriptor root, FileDescriptor lock)
      : name_(std::move(name)),
        in_memory_(in_memory),
        root_(std::move(root)),
        lock_(std::move(lock)) {}

  Result<> Prepare(uint64_t capacity_bytes) {
    const std::string shown = name_ + "/quarantine";
    ASSIGN_OR_RETURN(FileDescriptor folder, OpenFolder(root_.get(), kQuarantine, shown));
    ASSIGN_OR_RETURN(quarantine_, QuarantineFolder::Open(std::move(folder), shown, capacity_bytes));
    return {};
  }
  // After Prepare; it lives as long as this.
  [[nodiscard]] QuarantineFolder& quarantine() { return *quarantine_; }

  Result<std::unique_ptr<StoredObject>> Open(const ObjectDigest& name) override {
    const std::string hex = name.Hex();
    ASSIGN_OR_RETURN(const int folder, Folder(hex, /*make=*/false));
    constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME;
    Result<std::pair<FileDescriptor, FileDescriptor>> files = OpenBoth(folder, hex, kFlags);
    if (!files && files.error().code != Errc::kInvalid)
      return tl::unexpected(std::move(files).error());
    struct stat data {};
    struct stat meta {};
    if (!files || !IsOurs(files->first.get(), data) || !IsOurs(files->second.get(), meta)) {
      log::Warn("the cache at {} held a file that is not as it was made: {}; removed", name_, hex);
      RETURN_IF_ERROR(Remove(name));
      return Fail(Errc::kNotFound, "not as it was made: " + hex);
    }
    auto reopen = [folder, hex, data_inode = data.st_ino,
                   meta_inode =
                       meta.st_ino]() -> Result<std::pair<FileDescriptor, FileDescriptor>> {
      ASSIGN_OR_RETURN(auto again, OpenBoth(folder, hex, O_RDWR | O_NOFOLLOW | O_NONBLOCK));
      struct stat data_again {};
      struct stat meta_again {};
      if (!IsOurs(again.first.get(), data_again) || !IsOurs(again.second.get(), meta_again) ||
          data_again.st_ino != data_inode || meta_again.st_ino != meta_inode)
        return Fail(Errc::kNotFound, "no longer the file it was: " + hex);
      return again;
    };
    return std::make_unique<StoredFiles>(hex, in_memory_, std::move(files->first),
                                         std::move(files->second), std::move(reopen));
  }

  Result<std::unique_ptr<StoredObject>> Create(const ObjectDigest& name,
                                               uint64_t size_bytes) override {
    const std::string hex = name.Hex();
    ASSIGN_OR_RETURN(const int folder, Folder(hex, /*make=*/true));
    constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOATIME;
    Result<std::pair<FileDescriptor, FileDescriptor>> files = OpenBoth(folder, hex, kFlags);
    if (!files && files.error().code == Errc::kBusy) {
      RETURN_IF_ERROR(Remove(name));
      files = OpenBoth(folder, hex, kFlags);
    }
    if (files && ftruncate(files->first.get(), static_cast<off_t>(size_bytes)) != 0)
      files = FailSystem("sizing " + hex);
    CountFolder(folder, hex);
    if (!files) {
      (void)Remove(name);  // what there is of it; the reason is the first failure
      return tl::unexpected(std::move(files).error());
    }
    return std::make_unique<StoredFiles>(hex, in_memory_, std::move(files->first),
                                         std::move(files->second), nullptr);
  }

  Result<> Remove(const ObjectDigest& name) override {
    const std::string hex = name.Hex();
    const Result<int> opened = Folder(hex, /*make=*/false);
    if (!opened && opened.error().code == Errc::kNotFound) return {};
    ASSIGN_OR_RETURN(const int folder, opened);
    // The meta first: bytes without it are nobody's, and go at the next scan.
    for (const std::string_view suffix : {kMetaSuffix, kDataSuffix}) {
      const std::string file = hex + std::string(suffix);
      if (suffix == kDataSuffix && !in_memory_) GiveUpBlocks(folder, file);
      if (unlinkat(folder, file.c_str(), 0) == 0 || errno == ENOENT) continue;
      // Somebody may have put a directory there.
      if (errno != EISDIR || unlinkat(folder, file.c_str(), AT_REMOVEDIR) != 0)
        return FailSystem("removing " + hex);
    }
    return {};
  }

  // XFS gives back the blocks of a file that went some seconds later, but what is cut off at once.
  // Whoever has the file open reads on, so then it is left to them.
  static void GiveUpBlocks(int folder, const std::string& file) {
    constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME;
    const FileDescriptor data(openat(folder, file.c_str(), kFlags));
    struct stat status {};
    if (!data.valid() || !IsOurs(data.get(), status)) return;
    // Whoever opens it meanwhile has SIGIO sent to this process, which is to ignore it.
    if (fcntl(data.get(), F_SETLEASE, F_WRLCK) != 0) return;
    (void)ftruncate(data.get(), 0);
  }

  // A lease for writing is given only to who alone has the file open, mappings included
  // (fcntl(2), F_SETLEASE). It is let go of at once.
  bool IsMapped(const ObjectDigest& name) override {
    const std::string hex = name.Hex();
    const Result<int> folder = Folder(hex, /*make=*/false);
    if (!folder) return false;
    constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME;
    const FileDescriptor data(openat(*folder, (hex + std::string(kDataSuffix)).c_str(), kFlags));
    if (!data.valid()) return false;
    if (fcntl(data.get(), F_SETLEASE, F_WRLCK) != 0) return errno == EAGAIN;
    (void)fcntl(data.get(), F_SETLEASE, F_UNLCK);
    return false;
  }

  Result<> Quarantine(const ObjectDigest& name) override {
    const std::string hex = name.Hex();
    const Result<int> opened = Folder(hex, /*make=*/false);
    if (!opened && opened.error().code == Errc::kNotFound) return {};
    ASSIGN_OR_RETURN(const int folder, opened);
    return quarantine_->MoveHere(folder, hex);
  }

  Result<> Scan(const std::function<bool(const Found&)>& visit) override {
    return ScanFolders(/*clean=*/false, visit);
  }
  Result<> ScanAndClean(const std::function<bool(const Found&)>& visit) override {
    return ScanFolders(/*clean=*/true, visit);
  }

  Result<> MarkUsed(const ObjectDigest& name) override {
    const std::string hex = name.Hex();
    ASSIGN_OR_RETURN(const int folder, Folder(hex, /*make=*/false));
    const std::string file = hex + std::string(kMetaSuffix);
    if (utimensat(folder, file.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0)
      return FailSystem("marking " + hex);
    return {};
  }

  Result<> SyncAll() override {
    if (!in_memory_ && syncfs(root_.get()) != 0) return FailSystem("writing out " + name_);
    return {};
  }

  Result<Room> GetRoom() override {
    struct statvfs file_system {};
    RETURN_IF_ERROR(quarantine_->KeepWithinCapacity());
    if (fstatvfs(root_.get(), &file_system) != 0) return FailSystem("looking at " + name_);
    uint64_t own = quarantine_->block_count() + kFormatBlocks;
    struct stat root {};
    if (fstat(root_.get(), &root) == 0) own += BlocksOf(root);
    for (const std::atomic<uint32_t>& folder : folder_block_counts_)
      own += folder.load(std::memory_order_relaxed);
    return Room{.total_bytes = uint64_t{file_system.f_blocks} * file_system.f_frsize,
                .free_bytes = uint64_t{file_system.f_bavail} * file_system.f_frsize,
                .own_block_count = own};
  }

  Result<> Resize(uint64_t capacity_bytes) override {
    if (quarantine_ != nullptr) quarantine_->SetCapacity(capacity_bytes);
    if (!in_memory_) return {};
    // It grows and never shrinks: the kernel takes no size below what is there, and what is too
    // much may be in use.
    struct statvfs status {};
    if (fstatvfs(root_.get(), &status) == 0)
      capacity_bytes =
          std::max(capacity_bytes, (status.f_blocks - status.f_bfree) * status.f_frsize);
    capacity_bytes = std::max(capacity_bytes, medium_bytes_.load());
    const FileDescriptor context(fspick(lock_.get(), "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
    if (!context.valid() ||
        fsconfig(context.get(), FSCONFIG_SET_STRING, "size", TmpfsSize(capacity_bytes).c_str(),
                 0) != 0 ||
        fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) != 0)
      return FailSystem("the size of the memory cache");
    medium_bytes_ = capacity_bytes;
    return {};
  }

  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  Result<> ScanFolders(bool clean, const std::function<bool(const Found&)>& visit) {
    for (size_t i = 0; i < kFolderCount; ++i) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      const std::string prefix = {kDigits[i / 16], kDigits[i % 16]};
      if (faccessat(root_.get(), prefix.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) continue;
      const Result<int> folder = Folder(prefix, /*make=*/false);
      if (!folder && folder.error().code == Errc::kInvalid) {  // a link or a file in its place
        if (clean && unlinkat(root_.get(), prefix.c_str(), 0) == 0)
          log::Warn("{}; removed", folder.error().detail);
        continue;
      }
      if (!folder) return tl::unexpected(folder.error());
      CountFolder(*folder, prefix);
      ASSIGN_OR_RETURN(const bool go_on, ScanFolder(*folder, prefix, clean, visit));
      if (!go_on) return {};
    }
    return {};
  }

  // Kept open from its first use. Reading makes none: that would wait where the file system
  // is frozen.
  Result<int> Folder(std::string_view hex, bool make) {
    const std::string prefix(hex.substr(0, 2));
    const size_t index = IndexOf(prefix);
    {
      const MutexLock lock(folders_mutex_);
      if (folders_[index].valid()) return folders_[index].get();
    }
    ASSIGN_OR_RETURN(FileDescriptor opened,
                     OpenFolder(root_.get(), prefix.c_str(), name_ + "/" + prefix, make));
    const MutexLock lock(folders_mutex_);
    if (!folders_[index].valid()) folders_[index] = std::move(opened);
    return folders_[index].get();
  }
  static size_t IndexOf(std::string_view hex) {
    return static_cast<size_t>(std::stoul(std::string(hex.substr(0, 2)), nullptr, 16));
  }
  void CountFolder(int folder, std::string_view hex) {
    struct stat folder_stat {};
    if (fstat(folder, &folder_stat) == 0)
      folder_block_counts_[IndexOf(hex)].store(static_cast<uint32_t>(BlocksOf(folder_stat)),
                                               std::memory_order_relaxed);
  }

  static Result<std::pair<FileDescriptor, FileDescriptor>> OpenBoth(int folder,
                                                                    const std::string& hex,
                                                                    int flags) {
    std::pair<FileDescriptor, FileDescriptor> files;
    for (const auto& [file, suffix] :
         {std::pair(&files.first, kDataSuffix), std::pair(&files.second, kMetaSuffix)}) {
      *file =
          OpenBelow(folder, (hex + std::string(suffix)).c_str(), flags, flags & O_CREAT ? 0600 : 0);
      if (file->valid()) continue;
      // Another thread has a lease of it: it is being removed.
      if (errno == EWOULDBLOCK) return Fail(Errc::kNotFound, "just being removed: " + hex);
      return FailSystem("opening " + hex);
    }
    return files;
  }

  Result<bool> ScanFolder(int folder, const std::string& prefix, bool clean,
                          const std::function<bool(const Found&)>& visit) {
    constexpr unsigned kHasData = 1;
    constexpr unsigned kHasMeta = 2;
    std::map<std::string, unsigned> objects;
    std::vector<std::string> foreign;
    RETURN_IF_ERROR(ForEachName(folder, name_ + "/" + prefix, [&](std::string file) {
      const bool is_data = file.ends_with(kDataSuffix);
      const bool is_meta = file.ends_with(kMetaSuffix);
      std::string hex = file.substr(0, file.size() - (is_data || is_meta ? 5 : 0));
      if ((is_data || is_meta) && hex.starts_with(prefix) && ObjectDigest::FromHex(hex))
        objects[std::move(hex)] |= is_data ? kHasData : kHasMeta;
      else
        foreign.push_back(std::move(file));
    }));
    for (const auto& [hex, parts] : objects) {
      struct stat data {};
      struct stat meta {};
      const std::string data_file = hex + std::string(kDataSuffix);
      const std::string meta_file = hex + std::string(kMetaSuffix);
      if (parts != (kHasData | kHasMeta) ||
          fstatat(folder, data_file.c_str(), &data, AT_SYMLINK_NOFOLLOW) != 0 ||
          fstatat(folder, meta_file.c_str(), &meta, AT_SYMLINK_NOFOLLOW) != 0) {
        foreign.push_back(parts & kHasData ? data_file : meta_file);
        continue;
      }
      if (!visit({.name = *ObjectDigest::FromHex(hex),
                  .block_count = BlocksOf(data) + BlocksOf(meta),
                  .used_unix_seconds = meta.st_mtim.tv_sec}))
        return false;
    }
    if (!clean) return true;
    for (const std::string& file : foreign)
      if (unlinkat(folder, file.c_str(), 0) != 0 && errno != ENOENT)
        log::Warn(
            "the cache at {} has '{}/{}', which is not of the cache and cannot be removed: {}",
            name_, prefix, log::Printable(file), std::strerror(errno));
    return true;
  }

  const std::string name_;
  const bool in_memory_;
  const FileDescriptor root_;
  const FileDescriptor lock_;
  std::unique_ptr<QuarantineFolder> quarantine_;  // constant after Prepare
  std::atomic<uint64_t> medium_bytes_{0};         // in memory: what it was made for

  Mutex folders_mutex_;
  // Never closed.
  std::array<FileDescriptor, kFolderCount> folders_ GUARDED_BY(folders_mutex_);
  std::array<std::atomic<uint32_t>, kFolderCount> folder_block_counts_{};
};

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

void ClearMemoryMedium(int medium_fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(medium_fd) + "/.";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored))
    std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace shoal
