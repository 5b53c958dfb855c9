// Some entries of one directory, packed: 32 bytes each beside the bytes of its name and ETag,
// where a vector and a map of ListedEntry would take some 300. Directories of a million
// entries are held for as long as a reader has them open, and many for an hour.
//
// Not thread-safe; does not change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fs/listing_merger.h"

namespace shoal {

class PackedEntries {
 public:
  // REQUIRES: in the order of ListedBefore, each name once; 4 GiB of names and ETags at most.
  explicit PackedEntries(std::span<const ListedEntry> entries);

  [[nodiscard]] size_t size() const { return records_.size(); }
  // `prefix` is that of the directory: the key of a file is prefix + name. REQUIRES: index <
  // size().
  [[nodiscard]] ListedEntry At(size_t index, const std::string& prefix) const;
  [[nodiscard]] std::string_view NameAt(size_t index) const { return NameOf(records_[index]); }
  [[nodiscard]] std::optional<size_t> IndexOf(std::string_view name) const;

  // Of the heap.
  [[nodiscard]] size_t memory_bytes() const {
    return text_.capacity() + records_.capacity() * sizeof(Record);
  }

 private:
  struct Record {
    uint64_t size_bytes;
    int64_t modified_unix_seconds;
    uint32_t text_offset;  // of the name, which the ETag follows
    uint32_t etag_size;
    uint16_t name_size;
    bool is_directory;
    StorageClass storage_class;
  };
  [[nodiscard]] std::string_view NameOf(const Record& record) const {
    return std::string_view(text_).substr(record.text_offset, record.name_size);
  }

  std::string text_;
  std::vector<Record> records_;
};

}  // namespace shoal
