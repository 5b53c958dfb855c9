#include "cache/stored_files.h"

#include <sys/stat.h>

#include "cache/guarded_files.h"

namespace shoal {

Result<> StoredFiles::ReadData(uint64_t offset, std::span<std::byte> out) {
  return ReadAt(data_.get(), offset, out, name_);
}

bool StoredFiles::ReadDataNow(uint64_t offset, std::span<std::byte> out) {
  return ReadAtNow(data_.get(), offset, out, in_memory_);
}

Result<> StoredFiles::MakeWritable() {
  if (!open_for_writing_) return {};
  ASSIGN_OR_RETURN(auto opened, open_for_writing_());
  data_for_writing_ = std::move(opened.first);
  meta_for_writing_ = std::move(opened.second);
  open_for_writing_ = nullptr;
  return {};
}

Result<> StoredFiles::WriteData(uint64_t offset, std::span<const std::byte> bytes) {
  RETURN_IF_ERROR(MakeWritable());
  const FileDescriptor& fd = data_for_writing_.valid() ? data_for_writing_ : data_;
  return WriteAt(fd.get(), offset, bytes, name_);
}

Result<> StoredFiles::ReadMeta(uint64_t offset, std::span<std::byte> out) {
  return ReadAt(meta_.get(), offset, out, name_);
}

Result<> StoredFiles::WriteMeta(uint64_t offset, std::span<const std::byte> bytes) {
  RETURN_IF_ERROR(MakeWritable());
  const FileDescriptor& fd = meta_for_writing_.valid() ? meta_for_writing_ : meta_;
  return WriteAt(fd.get(), offset, bytes, name_);
}

Result<uint64_t> StoredFiles::NextMetaData(uint64_t offset) {
  struct stat meta {};
  if (fstat(meta_.get(), &meta) != 0) return FailSystem("looking at " + name_);
  const auto size_bytes = static_cast<uint64_t>(meta.st_size);
  if (offset >= size_bytes) return size_bytes;
  const off_t found = lseek(meta_.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (found >= 0) return static_cast<uint64_t>(found);
  if (errno == ENXIO) return size_bytes;
  if (errno == EINVAL) return offset;  // a file system that does not know its holes
  return FailSystem("looking at " + name_);
}

Result<uint64_t> StoredFiles::DataBytes() {
  struct stat data {};
  if (fstat(data_.get(), &data) != 0) return FailSystem("looking at " + name_);
  return static_cast<uint64_t>(data.st_size);
}

Result<uint64_t> StoredFiles::BlockCount() {
  uint64_t blocks = 0;
  for (const FileDescriptor* fd : {&data_, &meta_}) {
    struct stat file {};
    if (fstat(fd->get(), &file) != 0) return FailSystem("looking at " + name_);
    blocks += BlocksOf(file);
  }
  return blocks;
}

Result<> StoredFiles::Sync() {
  RETURN_IF_ERROR(SyncFile(data_.get(), name_));
  return SyncFile(meta_.get(), name_);
}

bool StoredFiles::DropPages(bool waits) {
  // A checksum from memory does no harm: it is the bytes that it is to be of.
  (void)shoal::DropPages(meta_.get(), 0, 0, /*waits=*/false);
  return shoal::DropPages(data_.get(), 0, 0, waits);
}

}  // namespace shoal
