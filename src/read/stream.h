// One sequential reader of an object: where it is, and what to fetch ahead of it.
// A function of what it is told. Not thread-safe.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "read/window_controller.h"

namespace shoal {

// Segments begin and end at multiples of this, but for the edges of what was asked.
inline constexpr uint64_t kSegmentBytes = 1 * kMiB;

class Stream {
 public:
  explicit Stream(uint64_t frontier)
      : began_(frontier), frontier_(frontier), asked_until_(frontier) {}

  // It has read up to `frontier`; going back is ignored.
  void ReadUpTo(uint64_t frontier);
  // What comes before `offset` was asked for, by whomever.
  void AskedUpTo(uint64_t offset);

  // The next range worth fetching ahead, or an empty one when enough is under way. At
  // most `window_max_bytes` ahead, and not past `limit`, the object's end or the place
  // where another stream took over. Call AskedUpTo with its end, then ask again.
  [[nodiscard]] ByteRange NextFetch(uint64_t limit, uint64_t window_max_bytes) const;

  // Where what this stream no longer needs begins and ends. Each range is named once.
  ByteRange TakeLeftBehind();

  [[nodiscard]] uint64_t began() const { return began_; }  // its frontier when it was found
  [[nodiscard]] uint64_t frontier() const { return frontier_; }
  WindowController& window() { return window_; }

 private:
  const uint64_t began_;
  uint64_t frontier_;
  uint64_t asked_until_;
  uint64_t trimmed_until_ = 0;
  WindowController window_;
};

}  // namespace shoal
