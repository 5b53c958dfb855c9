// Counts what goes through one point of the chain of sources, by the place that it was found
// at. In front of the tiers that is what readers got and from where; in front of the origin,
// what was fetched.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "cache/range_source.h"

namespace shoal {

inline constexpr size_t kPlaceCount = 4;

// "memory", "disk", "peer", "origin".
std::string_view PlaceName(ServedBy place);

// Thread-safe. Warm-ups are counted apart: they are nobody's reads.
class PlaceCounters {
 public:
  struct Place {
    uint64_t requests = 0;
    uint64_t bytes = 0;
  };

  void Add(ServedBy place, Purpose purpose, uint64_t bytes);

  [[nodiscard]] Place read(ServedBy place) const;
  [[nodiscard]] Place warmed(ServedBy place) const;

 private:
  struct Counts {
    std::atomic<uint64_t> requests{0};
    std::atomic<uint64_t> bytes{0};
  };
  static Place Take(const Counts& counts);

  std::array<Counts, kPlaceCount> reads_;
  std::array<Counts, kPlaceCount> warmups_;
};

class CountedSource final : public RangeSource {
 public:
  enum class Counts : uint8_t { kAll, kAskedFor };

  // Both outlive it. What was asked for is less than all where a read is rounded out to pages.
  CountedSource(RangeSource& next, PlaceCounters& counters, Counts counts = Counts::kAll)
      : next_(next), counters_(counters), counts_(counts) {}

  std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) override;

 private:
  RangeSource& next_;
  PlaceCounters& counters_;
  const Counts counts_;
};

}  // namespace shoal
