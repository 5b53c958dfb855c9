// A segment: a run of bytes of one object version, in a buffer that one fetch fills
// from front to back.
//
// All is guarded by the engine's lock but the buffer's bytes, how many there are and whether
// anybody waits for more: the fetch writes only behind filled_bytes, readers read only before it,
// and the fetch takes the lock for who waits. Who begins to says so first, and looks once more.
//
// A segment is *held* by its fetch until that is done with it and by every read that
// needs it until that was answered. A held segment keeps its buffer, even forgotten.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "read/buffer_pool.h"

namespace shoal {

struct PendingRead;
struct Segment;
struct SegmentOwner;
using SegmentPointer = std::shared_ptr<Segment>;

// What a sequential stream has in memory. Shared by the stream and its segments, which
// may outlive it. Guarded by the engine's lock.
struct StreamAccount {
  uint64_t bytes = 0;    // of its segments
  bool setback = false;  // it lost bytes unread, or was throttled, since last looked at
};

struct Segment {
  // A read that waits until `filled_needed_bytes` of the segment are there.
  struct Waiter {
    std::shared_ptr<PendingRead> read;
    uint64_t filled_needed_bytes;
  };

  Segment(SegmentOwner* owner_, ByteRange range_, std::shared_ptr<StreamAccount> stream_)
      : owner(owner_), range(range_), stream(std::move(stream_)) {}

  SegmentOwner* const owner;  // outlives all that hold the segment, and its place in the map
  const ByteRange range;      // of the object
  const std::shared_ptr<StreamAccount> stream;  // fetched for it; null: for one read

  Buffer buffer;
  std::atomic<uint64_t> filled_bytes = 0;  // from the front
  std::atomic<bool> is_waited_for = false;
  uint64_t fetch_id = 0;
  bool forgotten = false;  // out of its map: no new read finds it
  uint32_t hold_count = 0;
  std::vector<Waiter> waiters;

  bool idle = false;  // complete and not held: in one of the store's lists, at idle_at
  std::list<SegmentPointer>::iterator idle_at;

  [[nodiscard]] bool complete() const { return filled_bytes == range.length; }
  [[nodiscard]] bool wholly_served() const { return served_parts_ == kAllParts; }

  // The part of [begin, end) of the object that is in this segment was given to a reader.
  void MarkServed(uint64_t begin, uint64_t end) {
    begin = std::max(begin, range.offset) - range.offset;
    end = std::min(end, range.end()) - range.offset;
    // A part counts once its last byte was served. Reads in any order that cover the
    // segment set every bit; the worst a wrong guess costs is to ask for a part again.
    for (uint64_t part = begin / part_bytes(); part < kPartCount; ++part) {
      const uint64_t last = std::min((part + 1) * part_bytes(), range.length) - 1;
      if (last >= end) break;
      if (last >= begin) served_parts_ |= uint64_t{1} << part;
    }
  }

 private:
  static constexpr uint64_t kPartCount = 64;
  static constexpr uint64_t kAllParts = ~uint64_t{0};
  [[nodiscard]] uint64_t part_bytes() const { return (range.length + kPartCount - 1) / kPartCount; }

  uint64_t served_parts_ = 0;  // a bit for each 64th
};

}  // namespace shoal
