#include "cache/shelf_slot.h"

#include <algorithm>

#include "cache/guarded_files.h"

namespace shoal {

Result<> ShelfSlot::ReadData(uint64_t offset, std::span<std::byte> out) {
  return ReadAt(read_fd_, data_offset() + offset, out, shelf_);
}

bool ShelfSlot::ReadDataNow(uint64_t offset, std::span<std::byte> out) {
  return ReadAtNow(read_fd_, data_offset() + offset, out, in_memory_);
}

Result<> ShelfSlot::WriteData(uint64_t offset, std::span<const std::byte> bytes) {
  if (offset + bytes.size() > place_.size_bytes)
    return Fail(Errc::kInvalid, "more bytes than the object has");
  return Write(data_offset() + offset, bytes);
}

Result<> ShelfSlot::ReadMeta(uint64_t offset, std::span<std::byte> out) {
  const size_t here =
      std::min<size_t>(out.size(), kCacheBlockBytes - std::min(offset, kCacheBlockBytes));
  std::ranges::fill(out.subspan(here), std::byte{0});
  return ReadAt(read_fd_, meta_offset() + offset, out.first(here), shelf_);
}

Result<> ShelfSlot::WriteMeta(uint64_t offset, std::span<const std::byte> bytes) {
  if (offset + bytes.size() > kCacheBlockBytes)
    return Fail(Errc::kInvalid, "more checksums than a small object has");
  return Write(meta_offset() + offset, bytes);
}

// One block: it is not worth looking for holes in it.
Result<uint64_t> ShelfSlot::NextMetaData(uint64_t offset) {
  return std::min(offset, kCacheBlockBytes);
}

Result<> ShelfSlot::Write(uint64_t offset, std::span<const std::byte> bytes) {
  RETURN_IF_ERROR(PrepareToWrite());
  return WriteAt(write_fd_, offset, bytes, shelf_);
}

}  // namespace shoal
