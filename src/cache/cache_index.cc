#include "cache/cache_index.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr uint64_t kSmallShare = 20;  // the small queue's share is one in this many bytes

// Uses that move an object from the small queue to the main one. One is too few: an epoch
// that reads everything once, in a new order, uses what the last one read just before.
constexpr uint32_t kUsesToStay = 2;

// How many at the head of the main queue an object that came back is measured against.
constexpr int kRivals = 2;

// Rounds given in one search for a victim. Uses pay for them, so they are few in the long
// run, but after an epoch over everything one search would go through the whole queue.
constexpr int kRoundsGivenMax = 1024;

}  // namespace

bool CacheIndex::Put(const ObjectDigest& digest, uint32_t block_count) {
  const SlotNumber known = table_.Find(digest);
  if (known != kNoSlot) {
    IndexSlot& slot = slots_[known];
    total_blocks_ += block_count;
    total_blocks_ -= slot.block_count();
    const IndexQueue queue = slot.queue();
    if (queue != IndexQueue::kLeaving) {
      QueueOf(queue).blocks += block_count;
      QueueOf(queue).blocks -= slot.block_count();
    }
    slot.set_block_count(block_count);
    if (queue == IndexQueue::kLeaving) Join(known, IndexQueue::kMain);
    return true;
  }
  if (slots_.size() == kObjectsMax) return false;
  const IndexQueue queue = QueueForNew(digest, block_count);
  const SlotNumber added = slots_.Take(digest);
  table_.Insert(added);
  slots_[added].set_block_count(block_count);
  total_blocks_ += block_count;
  Join(added, queue);
  return true;
}

IndexQueue CacheIndex::QueueForNew(const ObjectDigest& digest, uint32_t block_count) {
  if (ghosts_.Take(digest)) {
    for (int i = 0; i < kRivals; ++i) {
      if (main_.head == kNoSlot || !SpareForUse(main_.head)) return IndexQueue::kMain;
    }
    return IndexQueue::kSmall;
  }
  // While there is room for all, what does not fit into the small queue's share is as good
  // as any other; left in the small queue, the first scan would evict it.
  if (!has_evicted_ && SmallIsOverItsShare(block_count)) return IndexQueue::kMain;
  return IndexQueue::kSmall;
}

bool CacheIndex::SmallIsOverItsShare(uint64_t more_blocks) const {
  return (small_.blocks + more_blocks) * kSmallShare > small_.blocks + main_.blocks + more_blocks;
}

void CacheIndex::Touch(const ObjectDigest& digest) {
  const SlotNumber slot = table_.Find(digest);
  if (slot == kNoSlot) return;
  slots_[slot].set_uses(std::min(slots_[slot].uses() + 1, IndexSlot::kUsesMax));
}

void CacheIndex::Favour(const ObjectDigest& digest) {
  const SlotNumber slot = table_.Find(digest);
  if (slot == kNoSlot || slots_[slot].queue() == IndexQueue::kLeaving) return;
  slots_[slot].set_uses(IndexSlot::kUsesMax);
  Leave(slot);
  Join(slot, IndexQueue::kMain);
}

void CacheIndex::Remove(const ObjectDigest& digest) {
  const SlotNumber slot = table_.Find(digest);
  if (slot == kNoSlot) return;
  if (slots_[slot].queue() != IndexQueue::kLeaving) Leave(slot);
  total_blocks_ -= slots_[slot].block_count();
  table_.Erase(slot);
  slots_.Free(slot);
}

bool CacheIndex::Contains(const ObjectDigest& digest) const {
  return table_.Find(digest) != kNoSlot;
}

uint32_t CacheIndex::block_count(const ObjectDigest& digest) const {
  const SlotNumber slot = table_.Find(digest);
  return slot == kNoSlot ? 0 : slots_[slot].block_count();
}

void CacheIndex::SetVerified(const ObjectDigest& digest, bool verified) {
  const SlotNumber slot = table_.Find(digest);
  if (slot != kNoSlot) slots_[slot].set_verified(verified);
}

bool CacheIndex::IsVerified(const ObjectDigest& digest) const {
  const SlotNumber slot = table_.Find(digest);
  return slot != kNoSlot && slots_[slot].verified();
}

void CacheIndex::ForgetVerified() {
  slots_.ForEach([](IndexSlot& slot) { slot.set_verified(false); });
}

void CacheIndex::Join(SlotNumber slot, IndexQueue queue) {
  Queue& to = QueueOf(queue);
  IndexSlot& joining = slots_[slot];
  joining.set_queue(queue);
  joining.set_previous(to.tail);
  joining.set_next(kNoSlot);
  if (to.tail == kNoSlot) {
    to.head = slot;
  } else {
    slots_[to.tail].set_next(slot);
  }
  to.tail = slot;
  to.blocks += joining.block_count();
}

void CacheIndex::Leave(SlotNumber slot) {
  IndexSlot& leaving = slots_[slot];
  Queue& from = QueueOf(leaving.queue());
  const SlotNumber previous = leaving.previous();
  const SlotNumber next = leaving.next();
  if (previous == kNoSlot) {
    from.head = next;
  } else {
    slots_[previous].set_next(next);
  }
  if (next == kNoSlot) {
    from.tail = previous;
  } else {
    slots_[next].set_previous(previous);
  }
  from.blocks -= leaving.block_count();
  leaving.set_queue(IndexQueue::kLeaving);
}

bool CacheIndex::SpareForUse(SlotNumber slot) {
  const uint32_t uses = slots_[slot].uses();
  const bool was_small = slots_[slot].queue() == IndexQueue::kSmall;
  if (uses < (was_small ? kUsesToStay : 1)) return false;
  slots_[slot].set_uses(was_small ? 0 : uses - 1);
  Leave(slot);
  Join(slot, IndexQueue::kMain);
  return true;
}

std::optional<ObjectDigest> CacheIndex::Victim(
    const std::function<bool(const ObjectDigest&)>& keep) {
  has_evicted_ = true;
  int rounds_given = 0;
  int looked_at = 0;
  bool main_is_kept = false;  // the one looked at last was, so the small queue has its turn
  while (looked_at < kLookedAtMax) {
    const bool from_small =
        small_.head != kNoSlot && (main_is_kept || SmallIsOverItsShare(0) || main_.head == kNoSlot);
    const SlotNumber slot = (from_small ? small_ : main_).head;
    if (slot == kNoSlot) return std::nullopt;
    if (rounds_given < kRoundsGivenMax && SpareForUse(slot)) {
      ++rounds_given;
      continue;
    }
    ++looked_at;
    const ObjectDigest digest = slots_[slot].digest();
    Leave(slot);
    if (!keep(digest)) {
      if (from_small) ghosts_.Add(digest, slots_.size());
      return digest;
    }
    Join(slot, IndexQueue::kMain);
    main_is_kept = !from_small;
  }
  return std::nullopt;
}

size_t CacheIndex::memory_bytes() const {
  return sizeof(*this) + slots_.memory_bytes() + table_.memory_bytes() + ghosts_.memory_bytes();
}

}  // namespace shoal
