#include "cache/quarantine_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache_storage.h"
#include "cache/guarded_files.h"

namespace shoal {
namespace {

constexpr size_t kObjectsMax = 8;
// The cache needs the room.
constexpr uint64_t kBlocksMax = (uint64_t{64} << 20) / kCacheBlockBytes;
constexpr uint64_t kShareOfCapacity = 16;

// What is kept of one object: its files are its name and a suffix.
struct KeptObject {
  std::vector<std::string> files;
  std::pair<int64_t, int64_t> newest;  // when it came: seconds, nanoseconds
  uint64_t block_count = 0;
};

Result<> WriteFile(int folder_fd, const std::string& file, std::span<const std::byte> bytes) {
  unlinkat(folder_fd, file.c_str(), 0);
  const FileDescriptor made =
      OpenBelow(folder_fd, file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!made.valid()) return FailSystem("putting aside " + file);
  return WriteAt(made.get(), 0, bytes, file);
}

}  // namespace

uint64_t QuarantineFolder::BlocksMaxOf(uint64_t capacity_bytes) {
  return std::min(kBlocksMax, capacity_bytes / kCacheBlockBytes / kShareOfCapacity);
}

Result<std::unique_ptr<QuarantineFolder>> QuarantineFolder::Open(FileDescriptor folder,
                                                                 std::string shown,
                                                                 uint64_t capacity_bytes) {
  std::unique_ptr<QuarantineFolder> quarantine(
      new QuarantineFolder(std::move(folder), std::move(shown), capacity_bytes));
  const MutexLock lock(quarantine->mutex_);
  RETURN_IF_ERROR(quarantine->KeepFew());
  return quarantine;
}

Result<> QuarantineFolder::MoveHere(int folder_fd, const std::string& name) {
  const MutexLock lock(mutex_);
  Result<> moved;
  for (const std::string& file : {name + ".meta", name + ".data"})
    if (moved && renameat(folder_fd, file.c_str(), folder_.get(), file.c_str()) != 0 &&
        errno != ENOENT)
      moved = FailSystem("putting aside " + file);
  Result<> counted = KeepFew();  // half of it as well
  return moved ? counted : moved;
}

Result<> QuarantineFolder::Write(const std::string& name, std::span<const std::byte> data,
                                 std::span<const std::byte> meta) {
  const MutexLock lock(mutex_);
  Result<> written = WriteFile(folder_.get(), name + ".data", data);
  if (written) written = WriteFile(folder_.get(), name + ".meta", meta);
  Result<> counted = KeepFew();  // half of it as well
  return written ? counted : written;
}

Result<> QuarantineFolder::KeepWithinCapacity() {
  if (kept_block_count_.load(std::memory_order_relaxed) <=
      blocks_max_.load(std::memory_order_relaxed))
    return {};
  const MutexLock lock(mutex_);
  return KeepFew();
}

Result<> QuarantineFolder::KeepFew() {
  std::map<std::string, KeptObject> objects;
  uint64_t blocks = 0;
  RETURN_IF_ERROR(ForEachName(folder_.get(), shown_, [&](std::string file) {
    struct stat found {};
    if (fstatat(folder_.get(), file.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return;
    KeptObject& object = objects[file.substr(0, file.find('.'))];
    object.newest = std::max(object.newest, {found.st_ctim.tv_sec, found.st_ctim.tv_nsec});
    object.block_count += BlocksOf(found);
    object.files.push_back(std::move(file));
    blocks += BlocksOf(found);
  }));
  const auto let_go = [&](auto object) {
    bool gone = true;
    for (const std::string& file : object->second.files)
      gone = (unlinkat(folder_.get(), file.c_str(), 0) == 0 || errno == ENOENT) && gone;
    if (gone) blocks -= object->second.block_count;
    return objects.erase(object);
  };
  const uint64_t blocks_max = blocks_max_.load(std::memory_order_relaxed);
  for (auto object = objects.begin(); object != objects.end();)
    object = object->second.block_count > blocks_max ? let_go(object) : std::next(object);
  while (objects.size() > kObjectsMax || (blocks > blocks_max && !objects.empty()))
    let_go(std::ranges::min_element(objects, {},
                                    [](const auto& entry) { return entry.second.newest; }));
  kept_block_count_.store(blocks, std::memory_order_relaxed);
  struct stat folder {};
  if (fstat(folder_.get(), &folder) == 0) blocks += BlocksOf(folder);
  block_count_.store(blocks, std::memory_order_relaxed);
  return {};
}

}  // namespace shoal
