#include "cache/cache_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cache/guarded_files.h"
#include "cache/memory_medium.h"
#include "cache/stored_files.h"

namespace shoal {
namespace {

constexpr std::string_view kDataSuffix = ".data";
constexpr std::string_view kMetaSuffix = ".meta";
constexpr char kQuarantine[] = "quarantine";
constexpr uint64_t kFormatBlocks = 1;  // the file FORMAT

size_t IndexOf(std::string_view hex) {
  return static_cast<size_t>(std::stoul(std::string(hex.substr(0, 2)), nullptr, 16));
}

Result<std::pair<FileDescriptor, FileDescriptor>> OpenBoth(int folder, const std::string& hex,
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

// XFS gives back the blocks of a file that went some seconds later, but what is cut off at once.
// Whoever has the file open reads on, so then it is left to them.
void GiveUpBlocks(int folder, const std::string& file) {
  constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME;
  const FileDescriptor data(openat(folder, file.c_str(), kFlags));
  struct stat status {};
  if (!data.valid() || !IsOurs(data.get(), status)) return;
  // Whoever opens it meanwhile has SIGIO sent to this process, which is to ignore it.
  if (fcntl(data.get(), F_SETLEASE, F_WRLCK) != 0) return;
  [[maybe_unused]] const int failed = ftruncate(data.get(), 0);  // they go with the file, then
}

}  // namespace

Result<> CacheDirectory::Prepare(uint64_t capacity_bytes) {
  const std::string shown = name_ + "/quarantine";
  ASSIGN_OR_RETURN(FileDescriptor folder, OpenFolder(root_.get(), kQuarantine, shown));
  ASSIGN_OR_RETURN(quarantine_, QuarantineFolder::Open(std::move(folder), shown, capacity_bytes));
  root_blocks_.Count(root_.get(), block_sum_);
  return {};
}

Result<std::unique_ptr<StoredObject>> CacheDirectory::Open(const ObjectDigest& name) {
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
                 meta_inode = meta.st_ino]() -> Result<std::pair<FileDescriptor, FileDescriptor>> {
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

Result<std::unique_ptr<StoredObject>> CacheDirectory::Create(const ObjectDigest& name,
                                                             uint64_t size_bytes) {
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
  folder_blocks_[IndexOf(hex)].Count(folder, block_sum_);
  if (!files) {
    (void)Remove(name);  // what there is of it; the reason is the first failure
    return tl::unexpected(std::move(files).error());
  }
  return std::make_unique<StoredFiles>(hex, in_memory_, std::move(files->first),
                                       std::move(files->second), nullptr);
}

Result<> CacheDirectory::Remove(const ObjectDigest& name) {
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

// A lease for writing is given only to who alone has the file open, mappings included
// (fcntl(2), F_SETLEASE). It is let go of at once.
bool CacheDirectory::IsMapped(const ObjectDigest& name) {
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

Result<> CacheDirectory::Quarantine(const ObjectDigest& name) {
  const std::string hex = name.Hex();
  const Result<int> opened = Folder(hex, /*make=*/false);
  if (!opened && opened.error().code == Errc::kNotFound) return {};
  ASSIGN_OR_RETURN(const int folder, opened);
  return quarantine_->MoveHere(folder, hex);
}

Result<> CacheDirectory::MarkUsed(const ObjectDigest& name) {
  const std::string hex = name.Hex();
  ASSIGN_OR_RETURN(const int folder, Folder(hex, /*make=*/false));
  const std::string file = hex + std::string(kMetaSuffix);
  if (utimensat(folder, file.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0)
    return FailSystem("marking " + hex);
  return {};
}

Result<> CacheDirectory::SyncAll() {
  if (!in_memory_ && syncfs(root_.get()) != 0) return FailSystem("writing out " + name_);
  return {};
}

Result<CacheStorage::Room> CacheDirectory::GetRoom() {
  struct statvfs file_system {};
  RETURN_IF_ERROR(quarantine_->KeepWithinCapacity());
  if (fstatvfs(root_.get(), &file_system) != 0) return FailSystem("looking at " + name_);
  return Room{.total_bytes = uint64_t{file_system.f_blocks} * file_system.f_frsize,
              .free_bytes = uint64_t{file_system.f_bavail} * file_system.f_frsize};
}

uint64_t CacheDirectory::own_block_count() {
  return quarantine_->block_count() + kFormatBlocks + block_sum_.value();
}

Result<> CacheDirectory::Resize(uint64_t capacity_bytes) {
  if (quarantine_ != nullptr) quarantine_->SetCapacity(capacity_bytes);
  if (!in_memory_) return {};
  // It grows and never shrinks: the kernel takes no size below what is there, and what is too
  // much may be in use.
  struct statvfs status {};
  if (fstatvfs(root_.get(), &status) == 0)
    capacity_bytes = std::max(capacity_bytes, (status.f_blocks - status.f_bfree) * status.f_frsize);
  capacity_bytes = std::max(capacity_bytes, medium_bytes_.load());
  RETURN_IF_ERROR(ResizeMemoryMedium(lock_.get(), capacity_bytes));
  medium_bytes_ = capacity_bytes;
  return {};
}

Result<int> CacheDirectory::Folder(std::string_view hex, bool make) {
  const std::string prefix(hex.substr(0, 2));
  const size_t index = IndexOf(prefix);
  {
    const MutexLock lock(folders_mutex_);
    if (folders_[index].valid()) return folders_[index].get();
  }
  ASSIGN_OR_RETURN(FileDescriptor opened,
                   OpenFolder(root_.get(), prefix.c_str(), name_ + "/" + prefix, make));
  if (make) root_blocks_.Count(root_.get(), block_sum_);
  const MutexLock lock(folders_mutex_);
  if (!folders_[index].valid()) folders_[index] = std::move(opened);
  return folders_[index].get();
}

Result<> CacheDirectory::ScanFolders(bool clean, const std::function<bool(const Found&)>& visit) {
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
    folder_blocks_[i].Count(*folder, block_sum_);
    ASSIGN_OR_RETURN(const bool go_on, ScanFolder(*folder, prefix, clean, visit));
    if (!go_on) return {};
  }
  return {};
}

Result<bool> CacheDirectory::ScanFolder(int folder, const std::string& prefix, bool clean,
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
      log::Warn("the cache at {} has '{}/{}', which is not of the cache and cannot be removed: {}",
                name_, prefix, log::Printable(file), std::strerror(errno));
  return true;
}

}  // namespace shoal
