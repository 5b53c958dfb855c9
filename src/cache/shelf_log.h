// The index of a shelf (shelf.h) as it is on the medium: a log of what was placed on it, used,
// and let go of. docs/disk_format.md describes it; both change together.
//
// Pure: bytes in, values out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/object_digest.h"

namespace shoal {

// Where an object is on its shelf: one block for its meta, and behind it its bytes.
struct ShelfPlace {
  uint32_t first_block = 0;
  uint32_t size_bytes = 0;  // of the object

  [[nodiscard]] uint64_t block_count() const;
  [[nodiscard]] uint64_t end_block() const { return first_block + block_count(); }

  friend bool operator==(const ShelfPlace&, const ShelfPlace&) = default;
};

// Larger ones would not have room for their checksums in one block.
inline constexpr uint64_t kShelvedBytesMax = 1 << 20;
// Half of what a file of ext4 can be, and of what 32 bits can number.
inline constexpr uint64_t kShelfBlocksMax = uint64_t{1} << 31;

struct ShelfEntry {
  enum class Kind : uint8_t {
    kPlaced = 1,
    kUsed = 2,
    kDropped = 3,
  };
  Kind kind = Kind::kPlaced;
  ObjectDigest name;
  ShelfPlace place;  // of a drop: the one that it ends, and no other
  uint32_t unix_seconds = 0;

  friend bool operator==(const ShelfEntry&, const ShelfEntry&) = default;
};

inline constexpr size_t kShelfEntryBytes = 32;
using EncodedShelfEntry = std::array<std::byte, kShelfEntryBytes>;

// REQUIRES: the place is below kShelfBlocksMax, its size at most kShelvedBytesMax and not 0.
EncodedShelfEntry EncodeShelfEntry(const ShelfEntry& entry);
// Empty: damaged, or no entry that EncodeShelfEntry makes.
std::optional<ShelfEntry> DecodeShelfEntry(std::span<const std::byte, kShelfEntryBytes> bytes);

// What a log says is on the shelf.
struct ShelfContents {
  std::vector<ShelfEntry> placed;  // in the order of their places, of which no two overlap
  uint64_t end_block = 0;          // behind everything that was ever placed
};
// Entries that are damaged are passed over. Of places that overlap none is believed: giving
// back the one would take bytes out of the other.
ShelfContents ReplayShelfLog(std::span<const std::byte> log);

}  // namespace shoal
