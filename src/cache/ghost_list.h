// Which objects were evicted lately: 16-bit fingerprints, in sets of 16 that each forget
// their oldest. A question about an object that was never there is answered yes once in
// 4,000 times, which costs a place in the wrong queue. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cache/object_digest.h"

namespace shoal {

class GhostList {
 public:
  // Remembers it, among about `object_count` others. Forgets everything when it has to
  // grow for that.
  void Add(const ObjectDigest& digest, size_t object_count);
  // True, once, for one that is remembered.
  bool Take(const ObjectDigest& digest);

  [[nodiscard]] size_t memory_bytes() const { return sets_.capacity() * sizeof(Set); }

 private:
  using Set = std::array<uint16_t, 16>;  // the newest first; 0 is none

  [[nodiscard]] Set& SetOf(const ObjectDigest& digest) {
    return sets_[static_cast<size_t>((digest.words[1] >> 32) * sets_.size() >> 32)];
  }

  std::vector<Set> sets_;
};

}  // namespace shoal
