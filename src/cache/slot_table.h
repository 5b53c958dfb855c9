// From an object's digest to the number of its slot: an open-addressing hash table of
// 32-bit entries. Not thread-safe.
//
// An entry is a slot number and, in the 4 bits it leaves, a tag of the digest, so that a
// probe past other entries seldom has to look into their slots. The table is split into
// shards that grow by a fifth, each by itself: it stays between 70 and 85 % full, and
// growing it copies a thirty-second of it at a time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cache/index_slots.h"

namespace shoal {

class SlotTable {
 public:
  // `slots` outlives this, and holds every object that is in the table.
  explicit SlotTable(const IndexSlots& slots) : slots_(slots) {}

  // kNoSlot when it is not there.
  [[nodiscard]] SlotNumber Find(const ObjectDigest& digest) const;
  // REQUIRES: the digest of `slot` is not in the table.
  void Insert(SlotNumber slot);
  // REQUIRES: the slot is in the table.
  void Erase(SlotNumber slot);

  [[nodiscard]] size_t memory_bytes() const;

 private:
  static constexpr size_t kShards = 32;
  struct Shard {
    std::vector<uint32_t> entries;
    size_t used = 0;
  };

  [[nodiscard]] const Shard& ShardOf(const ObjectDigest& digest) const {
    return shards_[digest.words[0] % kShards];
  }
  // The position of the digest's entry, or of the empty one where it would be put.
  [[nodiscard]] size_t PositionOf(const Shard& shard, const ObjectDigest& digest) const;
  void Grow(Shard& shard);

  const IndexSlots& slots_;
  std::array<Shard, kShards> shards_;
};

}  // namespace shoal
