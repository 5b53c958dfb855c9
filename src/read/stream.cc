#include "read/stream.h"

#include <algorithm>

namespace shoal {
namespace {

// Requests that are late are at most the kernel's read-ahead behind; twice that is gone.
constexpr uint64_t kBehindBytes = 8 * kMiB;

// A window holds a segment at least, and without proof as many as it takes for one to be read
// while others come.
WindowOptions WindowOf(uint64_t segment_bytes) {
  WindowOptions options;
  options.start_bytes = std::max(options.start_bytes, segment_bytes);
  options.fetch_bytes_min = segment_bytes;
  options.unproven_bytes = std::max(options.unproven_bytes, 4 * segment_bytes);
  return options;
}

}  // namespace

Stream::Stream(uint64_t frontier, uint64_t segment_bytes)
    : segment_bytes_(segment_bytes),
      began_(frontier),
      frontier_(frontier),
      asked_until_(frontier),
      window_(WindowOf(segment_bytes)) {}

void Stream::ReadUpTo(uint64_t frontier) {
  frontier_ = std::max(frontier_, frontier);
  asked_until_ = std::max(asked_until_, frontier_);
}

void Stream::AskedUpTo(uint64_t offset) {
  asked_until_ = std::max(asked_until_, offset);
}

ByteRange Stream::NextFetch(uint64_t limit, uint64_t window_max_bytes) const {
  const uint64_t window_bytes = std::min(window_.window_bytes(), window_max_bytes);
  const uint64_t goal = std::min(frontier_ + window_bytes, limit);
  if (goal <= asked_until_) return {};
  // Where the window is small for want of memory there is still more than one GET in it.
  const uint64_t fetch_bytes =
      std::max(segment_bytes_, std::min(window_.fetch_bytes(), AlignDown(window_bytes / 2)));
  // Whole fetches only, or each small read would send a small GET.
  if (goal - asked_until_ < fetch_bytes && goal < limit) return {};
  const uint64_t end = std::min(AlignDown(asked_until_ + fetch_bytes), goal);
  return {asked_until_, end - asked_until_};
}

ByteRange Stream::TakeLeftBehind() {
  const uint64_t until = AlignDown(frontier_ > kBehindBytes ? frontier_ - kBehindBytes : 0);
  if (until <= trimmed_until_) return {};
  // A stream that starts far into the object has left nothing there.
  const uint64_t from = trimmed_until_ == 0 ? AlignDown(until - segment_bytes_) : trimmed_until_;
  trimmed_until_ = until;
  return {from, until - from};
}

}  // namespace shoal
