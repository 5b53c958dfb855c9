#include "cache/object_places.h"

#include <algorithm>

namespace shoal {
namespace {

// Pages that are here are fetched all the same if they lie between others that are not and
// are so few: one request costs less than two.
constexpr uint64_t kBridgedBytesMax = 128 * kKiB;

}  // namespace

Run PresentRun(uint64_t offset, uint64_t end, Places places) {
  uint64_t missing_until = end;
  for (const Place& place : places) {
    const CachedObject& object = *place.use;
    const auto pending = object.PendingFrom(offset);
    if (pending.pending) return {&place, std::min(end, pending.end)};
    missing_until = std::min(missing_until, pending.end);
    if (object.state() != CachedObject::State::kHere) continue;
    const uint64_t page = offset / object.page_bytes;
    const uint64_t page_end = (end + object.page_bytes - 1) / object.page_bytes;
    const uint64_t without = object.present.NextWithout(page, page_end);
    if (without > page) return {&place, std::min(end, without * object.page_bytes)};
    const uint64_t with = object.present.NextWith(page + 1, page_end);
    missing_until = std::min(missing_until, with * object.page_bytes);
  }
  return {nullptr, std::min(end, missing_until)};
}

Run NextRun(uint64_t offset, uint64_t end, Places places) {
  Run run = PresentRun(offset, end, places);
  while (run.place == nullptr && run.end < end) {
    const Run island = PresentRun(run.end, end, places);
    if (island.end == end || island.end - run.end > kBridgedBytesMax) break;
    run.end = PresentRun(island.end, end, places).end;
  }
  return run;
}

const Place* PlaceToKeep(Places places) {
  for (const Place& place : places)
    if (place.use->state() == CachedObject::State::kHere) return &place;
  for (const Place& place : places)
    if (place.volume->usable() && place.use->state() == CachedObject::State::kAbsent) return &place;
  return nullptr;
}

const Place* PlaceToComplete(Places places) {
  for (const Place& place : places)
    if (IsWholeIn(place)) return &place;
  for (const Place& place : places)
    if (place.volume->usable() && place.use->state() == CachedObject::State::kHere) return &place;
  for (const Place& place : places)
    if (place.volume->usable() && place.use->state() == CachedObject::State::kAbsent) return &place;
  return nullptr;
}

bool IsWholeIn(const Place& place) {
  return place.use->state() == CachedObject::State::kHere && place.use->complete() &&
         place.volume->usable();
}

}  // namespace shoal
