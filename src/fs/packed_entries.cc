#include "fs/packed_entries.h"

#include <algorithm>

namespace shoal {

PackedEntries::PackedEntries(std::span<const ListedEntry> entries) {
  size_t text_bytes = 0;
  for (const ListedEntry& entry : entries)
    text_bytes += entry.name.size() + entry.object.version.etag.size();
  text_.reserve(text_bytes);
  records_.reserve(entries.size());
  for (const ListedEntry& entry : entries) {
    const ObjectVersion& version = entry.object.version;
    records_.push_back({.size_bytes = version.size_bytes,
                        .modified_unix_seconds = entry.object.modified_unix_seconds,
                        .text_offset = static_cast<uint32_t>(text_.size()),
                        .etag_size = static_cast<uint32_t>(version.etag.size()),
                        .name_size = static_cast<uint16_t>(entry.name.size()),
                        .is_directory = entry.is_directory,
                        .storage_class = entry.object.storage_class});
    text_ += entry.name;
    text_ += version.etag;
  }
}

ListedEntry PackedEntries::At(size_t index, const std::string& prefix) const {
  const Record& record = records_[index];
  ListedEntry entry{
      .name = std::string(NameOf(record)), .is_directory = record.is_directory, .object = {}};
  if (record.is_directory) return entry;
  entry.object = {
      .version = {.key = prefix + entry.name,
                  .etag = text_.substr(record.text_offset + record.name_size, record.etag_size),
                  .size_bytes = record.size_bytes},
      .modified_unix_seconds = record.modified_unix_seconds,
      .storage_class = record.storage_class};
  return entry;
}

std::optional<size_t> PackedEntries::IndexOf(std::string_view name) const {
  const auto found = std::ranges::lower_bound(
      records_, name, ListedBefore, [this](const Record& record) { return NameOf(record); });
  if (found == records_.end() || NameOf(*found) != name) return std::nullopt;
  return static_cast<size_t>(found - records_.begin());
}

}  // namespace shoal
