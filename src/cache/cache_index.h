// What is in a cache directory, how much room it takes, and what goes next.
//
// Bookkeeping only: no I/O, no clock, no lock. Not thread-safe; its owner guards it.
//
// The policy is S3-FIFO (Yang et al., SOSP 2023) by bytes: a new object joins a small queue,
// from which it is evicted unless it is used twice meanwhile; then it moves to the main queue,
// where each use (up to three) buys another round. So a scan takes no more than the small
// queue, a twentieth of the bytes. One that comes back soon after the small queue evicted it
// joins the main queue if those that are next to leave that one are not in use themselves.
// Why all this: docs/decisions/0006-eviction.md.
//
// Memory: 28 bytes an object, 5 to 6 for finding it and 2 to remember those evicted. It does
// not shrink when objects go.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "cache/ghost_list.h"
#include "cache/index_slots.h"
#include "cache/object_digest.h"
#include "cache/slot_table.h"

namespace shoal {

class CacheIndex {
 public:
  CacheIndex() = default;
  CacheIndex(const CacheIndex&) = delete;  // its parts point at each other
  CacheIndex& operator=(const CacheIndex&) = delete;

  static constexpr size_t kObjectsMax = IndexSlots::kSlotsMax;  // 268 million
  static constexpr uint64_t kBlockBytes = 4096;

  // Adds an object, or changes the size of one; that does not count as a use. `block_count`
  // is what it takes on the medium. A victim that is Put has not been evicted after all and
  // joins the main queue again. A cache that is being filled from what is on the medium Puts
  // the oldest first. False, and nothing changes: it would be more than kObjectsMax.
  bool Put(const ObjectDigest& digest, uint32_t block_count);

  // It was used again. Once for an open, not for each read; the open that brought it into the
  // cache is no use either, or a scan would look like a favourite.
  void Touch(const ObjectDigest& digest);

  // Somebody asked for it to be here: as if it had just come back and been used as often as
  // counts, so that what was asked for earlier, or never, goes before it. No effect on a victim.
  void Favour(const ObjectDigest& digest);

  void Remove(const ObjectDigest& digest);

  [[nodiscard]] bool Contains(const ObjectDigest& digest) const;
  [[nodiscard]] uint32_t block_count(const ObjectDigest& digest) const;  // 0: not here

  // Every byte of it was checked since this process began. Asking costs a look-up.
  void SetVerified(const ObjectDigest& digest, bool verified = true);
  [[nodiscard]] bool IsVerified(const ObjectDigest& digest) const;
  // None is from now on. Takes a look at each object.
  void ForgetVerified();

  // The object to evict next. It is still in the index and in its totals until Remove, but
  // is not named again unless it is Put. Those that `keep` is true for are passed over,
  // as if they had been used. Empty: there is none among the kLookedAtMax next ones; asking
  // again looks at others.
  std::optional<ObjectDigest> Victim(const std::function<bool(const ObjectDigest&)>& keep);
  static constexpr int kLookedAtMax = 128;

  // Victims that were not removed yet included.
  [[nodiscard]] uint64_t total_blocks() const { return total_blocks_; }
  [[nodiscard]] size_t object_count() const { return slots_.size(); }
  [[nodiscard]] size_t memory_bytes() const;

 private:
  struct Queue {  // the head goes first
    SlotNumber head = kNoSlot;
    SlotNumber tail = kNoSlot;
    uint64_t blocks = 0;
  };
  [[nodiscard]] Queue& QueueOf(IndexQueue queue) {
    return queue == IndexQueue::kSmall ? small_ : main_;
  }

  [[nodiscard]] IndexQueue QueueForNew(const ObjectDigest& digest, uint32_t block_count);
  [[nodiscard]] bool SmallIsOverItsShare(uint64_t more_blocks) const;
  void Join(SlotNumber slot, IndexQueue queue);
  void Leave(SlotNumber slot);
  // Whether its uses buy it another round, which it then begins.
  bool SpareForUse(SlotNumber slot);

  IndexSlots slots_;
  SlotTable table_{slots_};
  GhostList ghosts_;
  Queue small_;
  Queue main_;
  uint64_t total_blocks_ = 0;
  bool has_evicted_ = false;
};

}  // namespace shoal
