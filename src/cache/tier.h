// A tier: a RangeSource that keeps what it brings in volumes of its own, and asks the next
// source for what is in none of them.
//
// An object is kept in the volume that a hash of its name and the volume's picks, among those
// that work; it is found in whichever volume has it, so directories may come and go. Who misses
// what somebody else is fetching takes it from there (flight_table.h). Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/thread_pool.h"
#include "cache/cache_volume.h"
#include "cache/delivery.h"
#include "cache/demand_gauge.h"
#include "cache/object_digest.h"
#include "cache/range_source.h"
#include "cache/recent_names.h"

namespace shoal {

struct TierOptions {
  ServedBy kind = ServedBy::kDisk;
  std::string bucket_identity;  // endpoint and bucket: no two buckets share a page
  uint32_t page_bytes = 16 * kKiB;
  // False: an object is kept from its second opening on, and one that lies whole in the next
  // tier is copied from there. For a tier above another one.
  bool keep_at_first = true;
};

class Tier final : public RangeSource {
 public:
  // `next` outlives it, and so does `demand`, which, unless null, shows when readers wait for what
  // somebody else is fetching. At least one volume.
  Tier(const TierOptions& options, std::vector<std::unique_ptr<CacheVolume>> volumes,
       RangeSource& next, DemandGauge* demand = nullptr);

  std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) override;

  // To bring an object here before it is asked for. Kept whatever keep_at_first says.
  std::shared_ptr<Delivery> Deliver(const ObjectVersion& version);

  struct Coverage {
    uint64_t cached_bytes = 0;  // written, with their checksums
    bool whole = false;
  };
  // What is here of an object; nothing where that is not known by the deadline. Is no use
  // of it.
  Coverage Cover(const ObjectVersion& version, Deadline deadline);
  // Somebody asked for the object to be here: others are evicted before it.
  void Favour(const ObjectVersion& version);

  // In which of volumes() an object that is not here would be kept, and what it takes there.
  [[nodiscard]] size_t PlaceOf(const ObjectVersion& version) const;
  [[nodiscard]] uint64_t BytesToKeep(uint64_t size_bytes) const {
    return CacheVolume::BytesToKeep(size_bytes, options_.page_bytes);
  }

  [[nodiscard]] const std::vector<std::unique_ptr<CacheVolume>>& volumes() const {
    return volumes_;
  }

 private:
  class Bytes;
  struct Name {
    std::string identity;
    ObjectDigest digest;
  };
  [[nodiscard]] Name NameOf(const ObjectVersion& version) const;
  // Indexes of volumes_, in the order in which they are preferred for an object.
  [[nodiscard]] std::vector<size_t> OrderFor(const ObjectDigest& digest) const;

  const TierOptions options_;
  const std::vector<std::unique_ptr<CacheVolume>> volumes_;
  RangeSource& next_;
  DemandGauge* const demand_;
  RecentNames opened_;
  std::atomic<uint32_t> promotion_count_{0};
  ThreadPool promoter_;  // last: its work uses the rest
};

}  // namespace shoal
