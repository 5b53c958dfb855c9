// The places of one object version in a tier: in each of its volumes the object of that name, and
// what is where. All of it looks only at what is known; nothing here waits.
#pragma once

#include <cstdint>
#include <span>

#include "cache/cache_volume.h"

namespace shoal {

struct Place {
  CacheVolume* volume;  // outlives it
  CacheVolume::Use use;
};
// Those of one object, in the order in which they are preferred.
using Places = std::span<const Place>;

struct Run {
  const Place* place;  // null: it is to be fetched
  uint64_t end;
};

// Where the bytes from `offset` are, and how far that holds.
Run PresentRun(uint64_t offset, uint64_t end, Places places);

// The same, but one that is to be fetched goes on over a few pages that are here.
Run NextRun(uint64_t offset, uint64_t end, Places places);

// The volume that has some of it already, or else the first that works. Null: none does.
const Place* PlaceToKeep(Places places);

// The one in which all of it is to be: parts in several never make a whole. Null: none works.
const Place* PlaceToComplete(Places places);

bool IsWholeIn(const Place& place);

}  // namespace shoal
