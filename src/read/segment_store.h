// All segments of the mount, and who may have memory for more.
//
// Two kinds. A *random* segment was fetched for one read; what is left of it once that
// was answered is kept while nobody needs the room. A *stream* segment was fetched for a
// sequential stream and waits for its reader.
//
//   a demand (a read that waits) may evict any segment nobody holds: random ones first,
//   then stream ones, each oldest first;
//   prefetch may use three quarters of the budget, and a stream's prefetch no more than its
//   share of that. It evicts random segments, and segments of streams that have more than
//   their share: so many files read at once all get some.
//
// Not thread-safe: guarded by the engine's lock, with every Segment and SegmentOwner.
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "read/buffer_pool.h"
#include "read/segment.h"
#include "read/segment_map.h"

namespace shoal {

// The store's part of an open object. Outlives all that hold its segments.
struct SegmentOwner {
  SegmentMap segments;
};

class SegmentStore {
 public:
  explicit SegmentStore(uint64_t budget_bytes, uint64_t segment_bytes)
      : pool_(budget_bytes, segment_bytes) {}

  // Evicts until `bytes` are free. False, with nothing evicted, when that cannot be.
  bool MakeRoomForDemand(uint64_t bytes);
  // May evict and still be false: what it evicts nobody waits for.
  bool MakeRoomForPrefetch(const StreamAccount& stream, uint64_t bytes);

  // A new empty segment in the owner's map, held once. REQUIRES: there is room for it.
  // `stream` is null for a random segment.
  SegmentPointer Make(SegmentOwner& owner, ByteRange range, std::shared_ptr<StreamAccount> stream);

  void Hold(const SegmentPointer& segment);
  // Undoes one Hold. A segment nobody holds goes once forgotten or wholly served, and
  // else waits in the store.
  void LetGo(const SegmentPointer& segment);
  // No new read finds it. Its buffer goes with the last hold.
  void Forget(const SegmentPointer& segment);

  // How much `stream` may have read ahead.
  [[nodiscard]] uint64_t ShareOf(const StreamAccount& stream) const;
  // From now on: evicts what nobody holds until that fits. What is held beyond it goes in its time.
  void SetBudget(uint64_t budget_bytes);
  // Call when nothing is open.
  void Trim() { pool_.Trim(); }
  [[nodiscard]] const BufferPool& pool() const { return pool_; }

 private:
  [[nodiscard]] uint64_t PrefetchMaxBytes() const { return pool_.budget_bytes() / 4 * 3; }
  // By value: what it is called with may be an element of the list that it is taken from.
  void Evict(SegmentPointer segment);
  void EvictOldest();  // REQUIRES: nobody holds some segment
  // One segment of a stream that has more than `share_bytes`. False: found none.
  bool EvictOverShare(uint64_t share_bytes);
  void MakeIdle(const SegmentPointer& segment);
  void MakeBusy(Segment& segment);
  void Free(Segment& segment);
  std::list<SegmentPointer>& ListOf(const Segment& segment) {
    return segment.stream == nullptr ? idle_random_ : idle_stream_;
  }

  BufferPool pool_;
  std::list<SegmentPointer> idle_random_;  // both oldest first
  std::list<SegmentPointer> idle_stream_;
  uint64_t idle_bytes_ = 0;    // charges of both lists
  uint64_t stream_bytes_ = 0;  // sum over streams
  uint64_t stream_count_ = 0;  // with bytes in memory
};

}  // namespace shoal
