// Where a CacheIndex keeps its entries: 28 bytes each, known by number.
//
// The numbers have 28 bits, so that the links of a queue leave room for the flags. Storage
// grows by a chunk at a time and never moves: growing takes no second copy. Not thread-safe.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/object_digest.h"

namespace shoal {

using SlotNumber = uint32_t;
inline constexpr unsigned kSlotNumberBits = 28;
inline constexpr SlotNumber kSlotNumberMask = (1U << kSlotNumberBits) - 1;
inline constexpr SlotNumber kNoSlot = kSlotNumberMask;

enum class IndexQueue : uint8_t {
  kSmall,    // seen once
  kMain,     // used again
  kLeaving,  // in no queue: chosen to be evicted
};

class IndexSlot {
 public:
  [[nodiscard]] ObjectDigest digest() const { return std::bit_cast<ObjectDigest>(digest_); }
  void Reset(const ObjectDigest& digest) {
    *this = {};
    digest_ = std::bit_cast<decltype(digest_)>(digest);
  }

  // Neighbours in the queue; kNoSlot at its ends.
  [[nodiscard]] SlotNumber previous() const { return previous_; }
  [[nodiscard]] SlotNumber next() const { return next_; }
  void set_previous(SlotNumber slot) { previous_ = slot & kSlotNumberMask; }
  void set_next(SlotNumber slot) { next_ = slot & kSlotNumberMask; }

  [[nodiscard]] IndexQueue queue() const { return static_cast<IndexQueue>(queue_); }
  void set_queue(IndexQueue queue) { queue_ = static_cast<uint32_t>(queue) & 3; }

  // Times used since it came to its place in the queue, at most kUsesMax.
  static constexpr uint32_t kUsesMax = 3;
  [[nodiscard]] uint32_t uses() const { return uses_; }
  void set_uses(uint32_t uses) { uses_ = uses & 3; }

  [[nodiscard]] bool verified() const { return verified_ != 0; }
  void set_verified(bool verified) { verified_ = verified ? 1 : 0; }

  [[nodiscard]] uint32_t block_count() const { return block_count_; }
  void set_block_count(uint32_t count) { block_count_ = count; }

 private:
  std::array<uint32_t, 4> digest_{};  // ObjectDigest itself would align the slot to 32 bytes
  uint32_t block_count_ = 0;
  uint32_t previous_ : kSlotNumberBits = kNoSlot;
  uint32_t queue_ : 2 = 0;
  uint32_t uses_ : 2 = 0;
  uint32_t next_ : kSlotNumberBits = kNoSlot;
  uint32_t verified_ : 1 = 0;
};
static_assert(sizeof(IndexSlot) == 28);

class IndexSlots {
 public:
  static constexpr size_t kSlotsMax = kNoSlot;

  [[nodiscard]] IndexSlot& operator[](SlotNumber slot) {
    return chunks_[slot / kChunkSlots][slot % kChunkSlots];
  }
  [[nodiscard]] const IndexSlot& operator[](SlotNumber slot) const {
    return chunks_[slot / kChunkSlots][slot % kChunkSlots];
  }

  // REQUIRES: size() < kSlotsMax.
  SlotNumber Take(const ObjectDigest& digest) {
    SlotNumber slot = free_;
    if (slot != kNoSlot) {
      free_ = (*this)[slot].next();
    } else {
      slot = used_;
      if (slot % kChunkSlots == 0) chunks_.push_back(std::make_unique<IndexSlot[]>(kChunkSlots));
      ++used_;
    }
    (*this)[slot].Reset(digest);
    ++size_;
    return slot;
  }

  void Free(SlotNumber slot) {
    (*this)[slot].set_next(free_);
    free_ = slot;
    --size_;
  }

  // Free ones included.
  template <class Visit>
  void ForEach(Visit visit) {
    for (SlotNumber slot = 0; slot < used_; ++slot) visit((*this)[slot]);
  }

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t memory_bytes() const {
    return chunks_.size() * kChunkSlots * sizeof(IndexSlot) +
           chunks_.capacity() * sizeof(chunks_[0]);
  }

 private:
  static constexpr uint32_t kChunkSlots = 64;  // the unused half of one is little beside 1000

  std::vector<std::unique_ptr<IndexSlot[]>> chunks_;
  SlotNumber used_ = 0;  // slots that were ever taken
  SlotNumber free_ = kNoSlot;
  size_t size_ = 0;
};

}  // namespace shoal
