// Where the streams of one object are, to be looked at without the engine's lock.
//
// A read that a cache could answer by itself must reach the engine all the same if it belongs
// to a stream: an engine that does not see a reader move on fetches nothing ahead of it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/bytes.h"
#include "read/stream_detector.h"

namespace shoal {

// Set and Remove by one thread at a time; Near from any.
class StreamPlaces {
 public:
  StreamPlaces() {
    for (Place& place : places_) place.frontier.store(kNowhere, std::memory_order_relaxed);
  }

  void Set(StreamId stream, uint64_t frontier) {
    Place* free = nullptr;
    for (Place& place : places_) {
      if (place.stream == stream) return place.frontier.store(frontier, std::memory_order_relaxed);
      if (place.stream == kNoStream) free = &place;
    }
    if (free == nullptr) return;  // more than there can be
    free->stream = stream;
    free->frontier.store(frontier, std::memory_order_relaxed);
  }
  void Remove(StreamId stream) {
    for (Place& place : places_) {
      if (place.stream != stream) continue;
      place.stream = kNoStream;
      place.frontier.store(kNowhere, std::memory_order_relaxed);
    }
  }

  // Whether a read at `offset` may be a stream's next: a little behind, as the kernel's
  // requests come in any order, to as far ahead as the kernel reads.
  [[nodiscard]] bool Near(uint64_t offset) const {
    for (const Place& place : places_) {
      const uint64_t frontier = place.frontier.load(std::memory_order_relaxed);
      if (frontier != kNowhere && offset + kBehindBytes >= frontier &&
          offset <= frontier + StreamDetector::kHoleBytesMax)
        return true;
    }
    return false;
  }

 private:
  static constexpr uint64_t kNowhere = ~uint64_t{0};
  static constexpr uint64_t kBehindBytes = kMiB;

  struct Place {
    StreamId stream = kNoStream;  // of who sets
    std::atomic<uint64_t> frontier;
  };
  std::array<Place, StreamDetector::kStreamCountMax> places_;
};

}  // namespace shoal
