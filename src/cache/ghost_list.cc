#include "cache/ghost_list.h"

#include <algorithm>

namespace shoal {
namespace {

uint16_t FingerprintOf(const ObjectDigest& digest) {
  const auto bits = static_cast<uint16_t>(digest.words[1]);
  return bits == 0 ? 1 : bits;
}

}  // namespace

void GhostList::Add(const ObjectDigest& digest, size_t object_count) {
  const size_t sets_wanted = object_count / std::tuple_size_v<Set> + 1;
  if (sets_.size() < sets_wanted) sets_ = std::vector<Set>(sets_wanted + sets_wanted / 4);
  Set& set = SetOf(digest);
  std::shift_right(set.begin(), set.end(), 1);
  set.front() = FingerprintOf(digest);
}

bool GhostList::Take(const ObjectDigest& digest) {
  if (sets_.empty()) return false;
  Set& set = SetOf(digest);
  const auto found = std::find(set.begin(), set.end(), FingerprintOf(digest));
  if (found == set.end()) return false;
  std::shift_left(found, set.end(), 1);
  set.back() = 0;
  return true;
}

}  // namespace shoal
