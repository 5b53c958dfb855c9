// The segments of one object, by offset. They never overlap. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/bytes.h"
#include "read/segment.h"

namespace shoal {

class SegmentMap {
 public:
  // REQUIRES: no segment overlaps it.
  void Insert(SegmentPointer segment);
  void Erase(const Segment& segment) { segments_.erase(segment.range.offset); }

  // Those with bytes of `range`, in order.
  [[nodiscard]] std::vector<SegmentPointer> Covering(ByteRange range) const;

  // What of `range` no segment has, in order, each rounded out to `page_bytes` as far as
  // the neighbouring segments and the object's end allow.
  // REQUIRES: range.end() <= object_bytes.
  [[nodiscard]] std::vector<ByteRange> Gaps(ByteRange range, uint64_t page_bytes,
                                            uint64_t object_bytes) const;

  [[nodiscard]] std::vector<SegmentPointer> All() const;
  [[nodiscard]] bool empty() const { return segments_.empty(); }

 private:
  using Map = std::map<uint64_t, SegmentPointer>;
  // The first segment that ends after `offset`.
  [[nodiscard]] Map::const_iterator FirstEndingAfter(uint64_t offset) const;

  Map segments_;
};

}  // namespace shoal
