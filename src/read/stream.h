// One sequential reader of an object: where it is, and what to fetch ahead of it.
// A function of what it is told. Not thread-safe.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "read/window_controller.h"

namespace shoal {

class Stream {
 public:
  // What it asks for begins and ends at multiples of `segment_bytes`, a power of two, but for the
  // edges of what was asked by others.
  Stream(uint64_t frontier, uint64_t segment_bytes);

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
  [[nodiscard]] uint64_t AlignDown(uint64_t offset) const {
    return offset / segment_bytes_ * segment_bytes_;
  }

  const uint64_t segment_bytes_;
  const uint64_t began_;
  uint64_t frontier_;
  uint64_t asked_until_;
  uint64_t trimmed_until_ = 0;
  WindowController window_;
};

}  // namespace shoal
