#include "read/fetch.h"

#include <algorithm>
#include <cstring>

namespace shoal {

bool FetchSink::Append(std::span<const std::byte> bytes) {
  if (bytes.empty() && segment_index_ < fetch_.segments.size())
    return listener_.OnFilled(fetch_, segment_index_, filled_bytes_);
  while (!bytes.empty()) {
    if (segment_index_ == fetch_.segments.size()) return false;  // more than was asked for
    const Segment& segment = *fetch_.segments[segment_index_];
    const size_t count = std::min<size_t>(bytes.size(), segment.range.length - filled_bytes_);
    std::byte* const place = segment.buffer.data() + filled_bytes_;
    if (bytes.data() != place) std::memcpy(place, bytes.data(), count);
    bytes = bytes.subspan(count);
    filled_bytes_ += count;
    const size_t filled_index = segment_index_;
    const uint64_t filled_bytes = filled_bytes_;
    if (filled_bytes_ == segment.range.length) {  // the listener lets it go
      ++segment_index_;
      filled_bytes_ = 0;
    }
    if (!listener_.OnFilled(fetch_, filled_index, filled_bytes)) return false;
  }
  return true;
}

std::span<std::byte> FetchSink::Room() {
  if (segment_index_ == fetch_.segments.size()) return {};
  const Segment& segment = *fetch_.segments[segment_index_];
  return {segment.buffer.data() + filled_bytes_, segment.range.length - filled_bytes_};
}

}  // namespace shoal
