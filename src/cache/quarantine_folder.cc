#include "cache/quarantine_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <utility>

#include "cache/guarded_files.h"

namespace shoal {
namespace {

constexpr size_t kFilesMax = 16;        // of eight objects
constexpr uint64_t kBlocksMax = 16384;  // 64 MiB: the cache needs the room

}  // namespace

Result<std::unique_ptr<QuarantineFolder>> QuarantineFolder::Open(FileDescriptor folder,
                                                                 std::string shown) {
  std::unique_ptr<QuarantineFolder> quarantine(
      new QuarantineFolder(std::move(folder), std::move(shown)));
  RETURN_IF_ERROR(quarantine->LetOldestGo());
  return quarantine;
}

Result<> QuarantineFolder::MoveHere(int folder_fd, const std::string& file) {
  if (renameat(folder_fd, file.c_str(), folder_.get(), file.c_str()) != 0 && errno != ENOENT)
    return FailSystem("putting aside " + file);
  return {};
}

Result<> QuarantineFolder::Write(const std::string& file, std::span<const std::byte> bytes) {
  unlinkat(folder_.get(), file.c_str(), 0);
  const FileDescriptor copy =
      OpenBelow(folder_.get(), file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!copy.valid()) return FailSystem("putting aside " + file);
  return WriteAt(copy.get(), 0, bytes, file);
}

Result<> QuarantineFolder::LetOldestGo() {
  std::map<std::pair<int64_t, std::string>, uint64_t> files;  // oldest first
  RETURN_IF_ERROR(ForEachName(folder_.get(), shown_, [&](std::string file) {
    struct stat found {};
    if (fstatat(folder_.get(), file.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0)
      files[{found.st_ctim.tv_sec, std::move(file)}] = BlocksOf(found);
  }));
  uint64_t blocks = 0;
  for (const auto& [file, block_count] : files) blocks += block_count;
  for (; files.size() > kFilesMax || blocks > kBlocksMax; files.erase(files.begin())) {
    unlinkat(folder_.get(), files.begin()->first.second.c_str(), 0);
    blocks -= files.begin()->second;
  }
  struct stat folder {};
  if (fstat(folder_.get(), &folder) == 0) blocks += BlocksOf(folder);
  block_count_.store(blocks, std::memory_order_relaxed);
  return {};
}

}  // namespace shoal
