// The entries of one directory, packed: 37 to 43 bytes each beside the bytes of its name
// and ETag, where a vector and a map of ListedEntry would take some 300. Directories of a
// million entries are held for as long as a reader has them open, and many for an hour.
//
// Not thread-safe. At most 2^32 - 2 entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/listing_merger.h"

namespace shoal {

class PackedEntries {
 public:
  // `prefix` is that of the directory: the key of a file is prefix + name.
  explicit PackedEntries(std::string prefix) : prefix_(std::move(prefix)) {}

  // REQUIRES: no entry has this name yet.
  void Add(const ListedEntry& entry);
  // Gives back what was set aside for more.
  void ShrinkToFit();

  [[nodiscard]] size_t size() const { return records_.size(); }
  // In the order they were added. REQUIRES: index < size().
  [[nodiscard]] ListedEntry At(size_t index) const;
  [[nodiscard]] std::optional<size_t> IndexOf(std::string_view name) const;

  // Of the heap, room set aside included.
  [[nodiscard]] size_t memory_bytes() const;

 private:
  struct Record {
    uint64_t text_offset;  // of the name, which the ETag follows
    uint64_t size_bytes;
    int64_t modified_unix_seconds;
    uint32_t etag_size;
    uint16_t name_size;
    bool is_directory;
    StorageClass storage_class;
  };
  [[nodiscard]] std::string_view NameOf(const Record& record) const {
    return std::string_view(text_).substr(record.text_offset, record.name_size);
  }
  void Rehash(size_t slot_count);
  void Occupy(uint32_t index);

  std::string prefix_;
  std::string text_;
  std::vector<Record> records_;
  // A hash table of indices: open addressing, a power of two, at most three quarters full.
  std::vector<uint32_t> slots_;
};

}  // namespace shoal
