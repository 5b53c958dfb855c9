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
  // As it is now. Nothing of a volume that is still counting what it has. Waits for the medium
  // until `deadline`.
  SpareRoom(const Tier& tier, Deadline deadline) : tier_(tier) {
    const auto half_of = [](uint64_t all, uint64_t used) {
      return used < all ? (all - used) / 2 : 0;  // others fill it as well, meanwhile
    };
    for (const auto& volume : tier.volumes()) {
      const uint64_t room_bytes = volume->RoomBytes(deadline);
      const CacheVolume::Usage usage = volume->usage();
      if (usage.scanned) {
        left_.push_back({half_of(room_bytes, usage.used_bytes),
                         half_of(usage.object_count_max, usage.object_count)});
      } else {
        left_.push_back({});
      }
    }
  }

  // False: what is left is less than the object takes.
  bool Take(const ObjectVersion& version) {
    Left& left = left_[tier_.PlaceOf(version)];
    const uint64_t bytes = tier_.BytesToKeep(version.size_bytes);
    if (bytes > left.bytes || left.object_count == 0) return false;
    left.bytes -= bytes;
    --left.object_count;
    return true;
  }

 private:
  struct Left {
    uint64_t bytes = 0;
    uint64_t object_count = 0;
  };

  const Tier& tier_;
  std::vector<Left> left_;  // of each volume
};

}  // namespace shoal
