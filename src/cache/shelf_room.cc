// What a shelf takes on its file system, and how it gives back what objects left.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "cache/counted_blocks.h"
#include "cache/guarded_files.h"
#include "cache/shelf.h"

namespace shoal {

Result<> Shelf::MakeHole(uint64_t first_block, uint64_t end_block) {
  RETURN_IF_ERROR(PrepareToWrite());
  const auto offset = static_cast<off_t>(first_block * kCacheBlockBytes);
  const auto length = static_cast<off_t>((end_block - first_block) * kCacheBlockBytes);
  while (fallocate(write_fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) != 0)
    if (errno != EINTR) return FailSystem("giving back room of " + shown_);
  return {};
}

void Shelf::MakeHolesLeft() {
  std::vector<ShelfPlace> left;
  {
    const MutexLock lock(mutex_);
    left.swap(holes_left_);
  }
  if (left.empty()) return;
  size_t made_count = 0;
  while (made_count < left.size() &&
         MakeHole(left[made_count].first_block, left[made_count].end_block()))
    ++made_count;
  {
    const MutexLock lock(mutex_);
    for (size_t i = 0; i < made_count; ++i) left_block_count_ -= left[i].block_count();
    // The medium may do it another time.
    holes_left_.insert(holes_left_.end(), left.begin() + static_cast<ptrdiff_t>(made_count),
                       left.end());
  }
  CountBlocks();
}

// What lies between the places.
Result<> Shelf::GiveBackTheRest(uint64_t file_blocks) {
  std::vector<ShelfPlace> kept;
  {
    const MutexLock lock(mutex_);
    for (const auto& [tag, place] : places_) kept.push_back(place);
    for (const auto& [first_block, users] : users_)
      if (users.removed) kept.push_back(users.place);
  }
  std::ranges::sort(kept, {}, &ShelfPlace::first_block);
  uint64_t gap_begin = 0;
  const auto close_gap = [&](uint64_t gap_end) -> Result<> {
    if (gap_begin >= gap_end) return {};
    const off_t data = lseek(read_fd_, static_cast<off_t>(gap_begin * kCacheBlockBytes), SEEK_DATA);
    if (data < 0 || static_cast<uint64_t>(data) >= gap_end * kCacheBlockBytes) return {};
    return MakeHole(gap_begin, gap_end);
  };
  for (const ShelfPlace& place : kept) {
    RETURN_IF_ERROR(close_gap(place.first_block));
    gap_begin = place.end_block();
  }
  return close_gap(file_blocks);
}

void Shelf::CountBlocks() {
  const MutexLock count_lock(count_mutex_);
  struct stat bytes {};
  struct stat log {};
  const bool known =
      fstat(read_fd_, &bytes) == 0 &&
      fstatat(folder_fd_, FileName(kLogSuffix).c_str(), &log, AT_SYMLINK_NOFOLLOW) == 0;
  if (!known) return;
  const MutexLock lock(mutex_);
  // Places that are not written yet take less than they were promised.
  const uint64_t taken = BlocksOf(bytes);
  const uint64_t places = placed_block_count_ + left_block_count_;
  const uint64_t beyond =
      std::max(taken > places ? taken - places : 0, in_memory_ ? 0 : TreeBlocksFor(places_.size()));
  const uint64_t own = left_block_count_ + beyond + BlocksOf(log);
  sum_.Replace(own_block_count_, own);
  own_block_count_ = own;
}

}  // namespace shoal
