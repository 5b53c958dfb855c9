// One GET that fills one or more adjacent segments.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "read/segment.h"

namespace shoal {

struct OpenObject;
struct FollowedStream;
struct PendingRead;

struct Fetch {
  uint64_t id = 0;
  std::shared_ptr<OpenObject> object;
  ByteRange range;
  uint64_t rounding_bytes = 0;              // of it: what only rounding out to pages added
  std::shared_ptr<FollowedStream> stream;   // it is for; null: for one read
  std::shared_ptr<const PendingRead> read;  // it is for, which fails with it; null: ahead of one
  Deadline deadline;                     // of that read; not set: of who waits, or from its start
  std::vector<SegmentPointer> segments;  // adjacent, together `range`; each held until it is full
  Instant began_at{};                    // both for the thread that fetches only
  Instant first_byte_at = Instant::min();
};

// Puts what arrives into the segments' buffers, and tells. The only copy the engine makes, and
// none of what came there by itself. Used by one thread.
class FetchSink final : public ByteSink {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // The segment is filled up to `filled_bytes`. False: nobody wants the rest of the fetch.
    virtual bool OnFilled(Fetch& fetch, size_t segment_index, uint64_t filled_bytes) = 0;
  };

  FetchSink(Fetch& fetch, Listener& listener) : fetch_(fetch), listener_(listener) {}

  bool Append(std::span<const std::byte> bytes) override;
  std::span<std::byte> Room() override;

  // The first segment that is not full; segments.size() when all are.
  [[nodiscard]] size_t segment_index() const { return segment_index_; }

 private:
  Fetch& fetch_;
  Listener& listener_;
  size_t segment_index_ = 0;
  uint64_t filled_bytes_ = 0;  // of that segment
};

}  // namespace shoal
