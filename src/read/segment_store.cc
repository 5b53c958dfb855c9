#include "read/segment_store.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace shoal {
namespace {

// Looked at for one segment of room: enough to find one, few enough to be quick.
constexpr int kEvictionScanMax = 64;

}  // namespace

bool SegmentStore::MakeRoomForDemand(uint64_t bytes) {
  if (pool_.used_bytes() - idle_bytes_ + bytes > pool_.budget_bytes()) return false;
  while (pool_.free_bytes() < bytes) EvictOldest();
  return true;
}

bool SegmentStore::MakeRoomForPrefetch(const StreamAccount& stream, uint64_t bytes) {
  const uint64_t share_bytes = ShareOf(stream);  // a first segment makes all shares smaller
  if (stream.bytes + bytes > share_bytes) return false;
  while (stream_bytes_ + bytes > PrefetchMaxBytes())
    if (!EvictOverShare(share_bytes)) return false;
  while (pool_.free_bytes() < bytes) {
    if (!idle_random_.empty()) {
      Evict(idle_random_.front());
    } else if (!EvictOverShare(share_bytes)) {
      return false;
    }
  }
  return true;
}

SegmentPointer SegmentStore::Make(SegmentOwner& owner, ByteRange range,
                                  std::shared_ptr<StreamAccount> stream) {
  auto segment = std::make_shared<Segment>(&owner, range, std::move(stream));
  segment->buffer = pool_.Take(range.length);
  segment->hold_count = 1;
  if (segment->stream != nullptr) {
    if (segment->stream->bytes == 0) ++stream_count_;
    segment->stream->bytes += segment->buffer.size_bytes();
    stream_bytes_ += segment->buffer.size_bytes();
  }
  owner.segments.Insert(segment);
  return segment;
}

void SegmentStore::Hold(const SegmentPointer& segment) {
  if (segment->idle) MakeBusy(*segment);
  ++segment->hold_count;
}

void SegmentStore::LetGo(const SegmentPointer& segment) {
  assert(segment->hold_count > 0);
  if (--segment->hold_count > 0) return;
  if (segment->forgotten) {
    Free(*segment);
  } else if (segment->wholly_served()) {
    Forget(segment);
  } else {
    MakeIdle(segment);
  }
}

void SegmentStore::Forget(const SegmentPointer& segment) {
  if (segment->forgotten) return;
  segment->forgotten = true;
  segment->owner->segments.Erase(*segment);
  if (segment->hold_count > 0) return;
  if (segment->idle) MakeBusy(*segment);
  Free(*segment);
}

uint64_t SegmentStore::ShareOf(const StreamAccount& stream) const {
  return PrefetchMaxBytes() / (stream_count_ + (stream.bytes == 0 ? 1 : 0));
}

void SegmentStore::SetBudget(uint64_t budget_bytes) {
  while (pool_.used_bytes() > budget_bytes && idle_bytes_ > 0) EvictOldest();
  pool_.SetBudget(budget_bytes);
}

void SegmentStore::EvictOldest() {
  Evict(idle_random_.empty() ? idle_stream_.front() : idle_random_.front());
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the header says why
void SegmentStore::Evict(SegmentPointer segment) {
  if (segment->stream != nullptr) segment->stream->setback = true;
  Forget(segment);
}

bool SegmentStore::EvictOverShare(uint64_t share_bytes) {
  int scanned_count = 0;
  for (const SegmentPointer& segment : idle_stream_) {
    if (++scanned_count > kEvictionScanMax) break;
    if (segment->stream->bytes <= share_bytes) continue;
    Evict(segment);
    return true;
  }
  return false;
}

void SegmentStore::MakeIdle(const SegmentPointer& segment) {
  assert(segment->complete());
  std::list<SegmentPointer>& list = ListOf(*segment);
  segment->idle_at = list.insert(list.end(), segment);
  segment->idle = true;
  idle_bytes_ += segment->buffer.size_bytes();
}

void SegmentStore::MakeBusy(Segment& segment) {
  segment.idle = false;
  idle_bytes_ -= segment.buffer.size_bytes();
  ListOf(segment).erase(segment.idle_at);
}

void SegmentStore::Free(Segment& segment) {
  if (segment.stream != nullptr) {
    segment.stream->bytes -= segment.buffer.size_bytes();
    stream_bytes_ -= segment.buffer.size_bytes();
    if (segment.stream->bytes == 0) --stream_count_;
  }
  pool_.GiveBack(std::move(segment.buffer));
}

}  // namespace shoal
