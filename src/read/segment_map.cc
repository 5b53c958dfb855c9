#include "read/segment_map.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace shoal {

void SegmentMap::Insert(SegmentPointer segment) {
  const uint64_t offset = segment->range.offset;
  [[maybe_unused]] const bool inserted = segments_.emplace(offset, std::move(segment)).second;
  assert(inserted);
}

SegmentMap::Map::const_iterator SegmentMap::FirstEndingAfter(uint64_t offset) const {
  auto at = segments_.upper_bound(offset);
  if (at != segments_.begin() && std::prev(at)->second->range.end() > offset) --at;
  return at;
}

std::vector<SegmentPointer> SegmentMap::Covering(ByteRange range) const {
  std::vector<SegmentPointer> covering;
  for (auto at = FirstEndingAfter(range.offset); at != segments_.end() && at->first < range.end();
       ++at)
    covering.push_back(at->second);
  return covering;
}

std::vector<ByteRange> SegmentMap::Gaps(ByteRange range, uint64_t page_bytes,
                                        uint64_t object_bytes) const {
  std::vector<ByteRange> gaps;
  auto next = FirstEndingAfter(range.offset);
  uint64_t lowest = next == segments_.begin() ? 0 : std::prev(next)->second->range.end();
  for (uint64_t offset = range.offset; offset < range.end();) {
    const uint64_t highest = next == segments_.end() ? object_bytes : next->first;
    if (offset < highest) {
      const uint64_t gap_end = std::min(range.end(), highest);
      const uint64_t begin = std::max(lowest, offset / page_bytes * page_bytes);
      const uint64_t end = std::min(highest, (gap_end + page_bytes - 1) / page_bytes * page_bytes);
      gaps.push_back({begin, end - begin});
    }
    if (next == segments_.end()) break;
    offset = lowest = next->second->range.end();
    ++next;
  }
  return gaps;
}

std::vector<SegmentPointer> SegmentMap::All() const {
  std::vector<SegmentPointer> all;
  all.reserve(segments_.size());
  for (const auto& [offset, segment] : segments_) all.push_back(segment);
  return all;
}

}  // namespace shoal
