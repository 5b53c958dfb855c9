// Room in the cache that nothing has, of which a warm-up may use a part before it is known
// whether all that it is to bring fits: nobody is evicted for it. Used by one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "cache/tier.h"

namespace shoal {

class SpareRoom {
 public:
  // Nothing of a volume that is still counting what it has. Waits for the medium until `deadline`.
  SpareRoom(const Tier& tier, Deadline deadline) : tier_(tier) {
    for (const auto& volume : tier.volumes()) {
      const uint64_t room_bytes = volume->RoomBytes(deadline);
      const CacheVolume::Usage usage = volume->usage();
      const bool has_any = usage.scanned && usage.used_bytes < room_bytes;
      // Others fill it as well, meanwhile.
      left_bytes_.push_back(has_any ? (room_bytes - usage.used_bytes) / 2 : 0);
    }
  }

  // False: what is left is less than the object takes.
  bool Take(const ObjectVersion& version) {
    uint64_t& left_bytes = left_bytes_[tier_.PlaceOf(version)];
    const uint64_t bytes = tier_.BytesToKeep(version.size_bytes);
    if (bytes > left_bytes) return false;
    left_bytes -= bytes;
    return true;
  }

 private:
  const Tier& tier_;
  std::vector<uint64_t> left_bytes_;  // of each volume
};

}  // namespace shoal
