#include "fs/packed_entries.h"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace shoal {
namespace {

constexpr uint32_t kFree = std::numeric_limits<uint32_t>::max();
constexpr size_t kSlotCountMin = 4;

size_t HashOf(std::string_view name) {
  return XXH3_64bits(name.data(), name.size());
}

}  // namespace

void PackedEntries::Add(const ListedEntry& entry) {
  const ObjectVersion& version = entry.object.version;
  records_.push_back({.text_offset = text_.size(),
                      .size_bytes = version.size_bytes,
                      .modified_unix_seconds = entry.object.modified_unix_seconds,
                      .etag_size = static_cast<uint32_t>(version.etag.size()),
                      .name_size = static_cast<uint16_t>(entry.name.size()),
                      .is_directory = entry.is_directory,
                      .storage_class = entry.object.storage_class});
  text_ += entry.name;
  text_ += version.etag;
  if (records_.size() * 4 > slots_.size() * 3)
    Rehash(std::max(kSlotCountMin, slots_.size() * 2));
  else
    Occupy(static_cast<uint32_t>(records_.size() - 1));
}

void PackedEntries::ShrinkToFit() {
  text_.shrink_to_fit();
  records_.shrink_to_fit();
}

ListedEntry PackedEntries::At(size_t index) const {
  const Record& record = records_[index];
  ListedEntry entry{
      .name = std::string(NameOf(record)), .is_directory = record.is_directory, .object = {}};
  if (record.is_directory) return entry;
  entry.object = {
      .version = {.key = prefix_ + entry.name,
                  .etag = text_.substr(record.text_offset + record.name_size, record.etag_size),
                  .size_bytes = record.size_bytes},
      .modified_unix_seconds = record.modified_unix_seconds,
      .storage_class = record.storage_class};
  return entry;
}

std::optional<size_t> PackedEntries::IndexOf(std::string_view name) const {
  if (slots_.empty()) return std::nullopt;
  const size_t mask = slots_.size() - 1;
  for (size_t slot = HashOf(name) & mask; slots_[slot] != kFree; slot = (slot + 1) & mask)
    if (NameOf(records_[slots_[slot]]) == name) return slots_[slot];
  return std::nullopt;
}

size_t PackedEntries::memory_bytes() const {
  return prefix_.capacity() + text_.capacity() + records_.capacity() * sizeof(Record) +
         slots_.capacity() * sizeof(uint32_t);
}

void PackedEntries::Rehash(size_t slot_count) {
  slots_ = std::vector<uint32_t>(slot_count, kFree);
  for (uint32_t index = 0; index < records_.size(); ++index) Occupy(index);
}

void PackedEntries::Occupy(uint32_t index) {
  const size_t mask = slots_.size() - 1;
  size_t slot = HashOf(NameOf(records_[index])) & mask;
  while (slots_[slot] != kFree) slot = (slot + 1) & mask;
  slots_[slot] = index;
}

}  // namespace shoal
