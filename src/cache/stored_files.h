// The two files of one object, as descriptors.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/file_descriptor.h"
#include "cache/cache_storage.h"
#include "cache/guarded_files.h"

namespace shoal {

class StoredFiles final : public StoredObject {
 public:
  // Opens the same two files for writing. They are opened for reading first, because
  // opening for writing waits where the file system is frozen, and reading must not.
  using OpenForWriting = std::function<Result<std::pair<FileDescriptor, FileDescriptor>>()>;

  // Writable at once when `open_for_writing` is empty. `in_memory`: no read of them waits.
  StoredFiles(std::string name, bool in_memory, FileDescriptor data, FileDescriptor meta,
              OpenForWriting open_for_writing)
      : name_(std::move(name)),
        in_memory_(in_memory),
        data_(std::move(data)),
        meta_(std::move(meta)),
        open_for_writing_(std::move(open_for_writing)) {}

  Result<> ReadData(uint64_t offset, std::span<std::byte> out) override;
  bool ReadDataNow(uint64_t offset, std::span<std::byte> out) override;
  Result<> WriteData(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<> ReadMeta(uint64_t offset, std::span<std::byte> out) override;
  Result<> WriteMeta(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<uint64_t> NextMetaData(uint64_t offset) override;
  Result<uint64_t> DataBytes() override;
  Result<uint64_t> BlockCount() override;
  Result<> Sync() override;
  Result<> ConfirmWritten() override { return shoal::ConfirmWritten(data_.get(), name_); }
  bool DropPages(bool waits) override;
  [[nodiscard]] int data_fd() const override { return data_.get(); }

 private:
  Result<> MakeWritable();

  const std::string name_;  // for messages
  const bool in_memory_;
  const FileDescriptor data_;
  const FileDescriptor meta_;
  OpenForWriting open_for_writing_;  // empty once done; of the thread that writes
  FileDescriptor data_for_writing_;
  FileDescriptor meta_for_writing_;
};

}  // namespace shoal
