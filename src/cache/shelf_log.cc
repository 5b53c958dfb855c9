#include "cache/shelf_log.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstring>

#include "cache/cache_storage.h"

namespace shoal {
namespace {

static_assert(std::endian::native == std::endian::little, "entries are written as they lie here");

constexpr unsigned kKindShift = 24;  // above the size
constexpr uint32_t kSizeMask = (uint32_t{1} << kKindShift) - 1;
static_assert(kShelvedBytesMax <= kSizeMask);

struct Fields {
  std::array<uint64_t, 2> name;
  uint32_t first_block;
  uint32_t kind_and_size;
  uint32_t unix_seconds;
  uint32_t checksum;  // of what stands before it
};
static_assert(sizeof(Fields) == kShelfEntryBytes);

uint32_t ChecksumOf(const Fields& fields) {
  return static_cast<uint32_t>(XXH3_64bits(&fields, offsetof(Fields, checksum)));
}

void DropOverlapping(std::vector<ShelfEntry>& placed) {
  std::vector<bool> is_bad(placed.size());
  size_t furthest = 0;  // of those so far, the one that reaches furthest
  for (size_t i = 1; i < placed.size(); ++i) {
    if (placed[i].place.first_block < placed[furthest].place.end_block())
      is_bad[i] = is_bad[furthest] = true;
    if (placed[i].place.end_block() > placed[furthest].place.end_block()) furthest = i;
  }
  size_t index = 0;
  std::erase_if(placed, [&](const ShelfEntry&) { return is_bad[index++]; });
}

}  // namespace

uint64_t ShelfPlace::block_count() const {
  return 1 + (size_bytes + kCacheBlockBytes - 1) / kCacheBlockBytes;
}

EncodedShelfEntry EncodeShelfEntry(const ShelfEntry& entry) {
  Fields fields{
      .name = entry.name.words,
      .first_block = entry.place.first_block,
      .kind_and_size = static_cast<uint32_t>(entry.kind) << kKindShift | entry.place.size_bytes,
      .unix_seconds = entry.unix_seconds,
      .checksum = 0};
  fields.checksum = ChecksumOf(fields);
  return std::bit_cast<EncodedShelfEntry>(fields);
}

std::optional<ShelfEntry> DecodeShelfEntry(std::span<const std::byte, kShelfEntryBytes> bytes) {
  Fields fields{};
  std::memcpy(&fields, bytes.data(), sizeof(fields));
  const uint32_t kind = fields.kind_and_size >> kKindShift;
  const ShelfEntry entry{
      .kind = static_cast<ShelfEntry::Kind>(kind),
      .name = {fields.name},
      .place = {.first_block = fields.first_block, .size_bytes = fields.kind_and_size & kSizeMask},
      .unix_seconds = fields.unix_seconds};
  if (fields.checksum != ChecksumOf(fields) || kind < 1 || kind > 3 ||
      entry.place.size_bytes == 0 || entry.place.size_bytes > kShelvedBytesMax ||
      entry.place.end_block() > kShelfBlocksMax)
    return std::nullopt;
  return entry;
}

ShelfContents ReplayShelfLog(std::span<const std::byte> log) {
  ShelfContents contents;
  boost::unordered_flat_map<ObjectDigest, ShelfEntry, HashOfDigest> here;
  for (; log.size() >= kShelfEntryBytes; log = log.subspan(kShelfEntryBytes)) {
    const auto entry = DecodeShelfEntry(log.first<kShelfEntryBytes>());
    if (!entry) continue;
    contents.end_block = std::max(contents.end_block, entry->place.end_block());
    if (entry->kind == ShelfEntry::Kind::kPlaced) {
      here[entry->name] = *entry;
      continue;
    }
    const auto known = here.find(entry->name);
    if (known == here.end() || known->second.place != entry->place) continue;
    if (entry->kind == ShelfEntry::Kind::kDropped)
      here.erase(known);
    else
      known->second.unix_seconds = entry->unix_seconds;
  }
  contents.placed.reserve(here.size());
  for (const auto& [name, entry] : here) contents.placed.push_back(entry);
  std::ranges::sort(contents.placed, {},
                    [](const ShelfEntry& entry) { return entry.place.first_block; });
  DropOverlapping(contents.placed);
  return contents;
}

}  // namespace shoal
