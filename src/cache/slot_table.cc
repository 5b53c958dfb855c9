#include "cache/slot_table.h"

#include <utility>

namespace shoal {
namespace {

constexpr uint32_t kEmpty = ~0U;  // slot kNoSlot, which no object has

uint32_t EntryOf(SlotNumber slot, const ObjectDigest& digest) {
  return slot | static_cast<uint32_t>(digest.words[1] >> 60) << kSlotNumberBits;
}

// Scales 32 bits of the digest to the size, which is no power of two.
size_t HomeOf(const ObjectDigest& digest, size_t entry_count) {
  return static_cast<size_t>((digest.words[0] >> 32) * entry_count >> 32);
}

size_t Next(size_t position, size_t entry_count) {
  return position + 1 == entry_count ? 0 : position + 1;
}

bool NeedsRoom(size_t used, size_t entry_count) {
  return (used + 1) * 20 > entry_count * 17;
}

}  // namespace

size_t SlotTable::PositionOf(const Shard& shard, const ObjectDigest& digest) const {
  const uint32_t tag = EntryOf(0, digest);
  size_t position = HomeOf(digest, shard.entries.size());
  // An entry is always empty, so this ends.
  while (true) {
    const uint32_t entry = shard.entries[position];
    if (entry == kEmpty) return position;
    if ((entry & ~kSlotNumberMask) == tag && slots_[entry & kSlotNumberMask].digest() == digest) {
      return position;
    }
    position = Next(position, shard.entries.size());
  }
}

SlotNumber SlotTable::Find(const ObjectDigest& digest) const {
  const Shard& shard = ShardOf(digest);
  if (shard.entries.empty()) return kNoSlot;
  return shard.entries[PositionOf(shard, digest)] & kSlotNumberMask;
}

void SlotTable::Insert(SlotNumber slot) {
  const ObjectDigest digest = slots_[slot].digest();
  Shard& shard = shards_[digest.words[0] % kShards];
  if (NeedsRoom(shard.used, shard.entries.size())) Grow(shard);
  shard.entries[PositionOf(shard, digest)] = EntryOf(slot, digest);
  ++shard.used;
}

void SlotTable::Erase(SlotNumber slot) {
  const ObjectDigest digest = slots_[slot].digest();
  Shard& shard = shards_[digest.words[0] % kShards];
  const size_t count = shard.entries.size();
  size_t hole = PositionOf(shard, digest);
  // Moves each later entry of the run into the hole, unless that were before its home.
  for (size_t i = Next(hole, count); shard.entries[i] != kEmpty; i = Next(i, count)) {
    const size_t home = HomeOf(slots_[shard.entries[i] & kSlotNumberMask].digest(), count);
    const bool home_is_after_hole = hole < i ? home > hole && home <= i : home > hole || home <= i;
    if (home_is_after_hole) continue;
    shard.entries[hole] = shard.entries[i];
    hole = i;
  }
  shard.entries[hole] = kEmpty;
  --shard.used;
}

void SlotTable::Grow(Shard& shard) {
  const size_t count = shard.entries.size();
  std::vector<uint32_t> old(count + count / 5 + 4, kEmpty);
  old.swap(shard.entries);
  for (const uint32_t entry : old) {
    if (entry == kEmpty) continue;
    shard.entries[PositionOf(shard, slots_[entry & kSlotNumberMask].digest())] = entry;
  }
}

size_t SlotTable::memory_bytes() const {
  size_t bytes = 0;
  for (const Shard& shard : shards_) bytes += shard.entries.capacity() * sizeof(uint32_t);
  return bytes;
}

}  // namespace shoal
