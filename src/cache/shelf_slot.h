// One object on a shelf, open: reads and writes that stay within its place.
#pragma once

#include <atomic>
#include <string>

#include "cache/cache_storage.h"
#include "cache/guarded_files.h"
#include "cache/shelf_log.h"

namespace shoal {

// Reads from any thread; writes from one at a time.
class ShelfSlot : public StoredObject {
 public:
  // The descriptors are the shelf's, which outlives this; `write_fd` is there once
  // PrepareToWrite has succeeded.
  ShelfSlot(const ShelfPlace& place, const std::string& shelf, bool in_memory,
            const std::atomic<int>& read_fd, const std::atomic<int>& write_fd)
      : place_(place),
        shelf_(shelf),
        in_memory_(in_memory),
        read_fd_(read_fd),
        write_fd_(write_fd) {}

  Result<> ReadData(uint64_t offset, std::span<std::byte> out) override;
  bool ReadDataNow(uint64_t offset, std::span<std::byte> out) override;
  Result<> WriteData(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<> ReadMeta(uint64_t offset, std::span<std::byte> out) override;
  Result<> WriteMeta(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<uint64_t> NextMetaData(uint64_t offset) override;
  Result<uint64_t> DataBytes() override { return place_.size_bytes; }
  Result<uint64_t> BlockCount() override { return place_.block_count(); }
  Result<> Sync() override { return SyncFile(read_fd_, shelf_); }
  Result<> ConfirmWritten() override { return shoal::ConfirmWritten(read_fd_, shelf_); }
  bool DropPages(bool waits) override {
    return shoal::DropPages(read_fd_, meta_offset(), place_.block_count() * kCacheBlockBytes,
                            waits);
  }
  [[nodiscard]] int data_fd() const override { return -1; }

 protected:
  [[nodiscard]] const ShelfPlace& place() const { return place_; }
  virtual Result<> PrepareToWrite() = 0;

 private:
  Result<> Write(uint64_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] uint64_t meta_offset() const { return place_.first_block * kCacheBlockBytes; }
  [[nodiscard]] uint64_t data_offset() const { return meta_offset() + kCacheBlockBytes; }

  const ShelfPlace place_;
  const std::string& shelf_;
  const bool in_memory_;
  const std::atomic<int>& read_fd_;
  const std::atomic<int>& write_fd_;
};

}  // namespace shoal
