#include "control/describe_path.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "control/warmup_listing.h"
#include "control/warmup_path.h"

namespace shoal {
namespace {

// In the tier that has most of it.
Tier::Coverage Cover(const Tiers& tiers, const ObjectVersion& version, Deadline deadline) {
  Tier::Coverage best;
  for (Tier* tier : {tiers.memory.get(), tiers.disk.get()}) {
    if (tier == nullptr) continue;
    const Tier::Coverage coverage = tier->Cover(version, deadline);
    if (coverage.cached_bytes > best.cached_bytes || coverage.whole) best = coverage;
  }
  return best;
}

std::string_view NameOf(StorageClass storage_class) {
  switch (storage_class) {
    case StorageClass::kReadable:
      return "readable (Standard or Infrequent Access)";
    case StorageClass::kArchive:
      return "Archive: restore it before reading";
    case StorageClass::kColdArchive:
      return "Cold Archive: restore it before reading";
    case StorageClass::kDeepColdArchive:
      return "Deep Cold Archive: restore it before reading";
    case StorageClass::kLink:
      return "a link";
  }
  return "unknown";
}

std::string HowServed(const ObjectInfo& info, const Tier::Coverage& coverage) {
  if (info.storage_class != StorageClass::kReadable) return "not at all, for its storage class";
  if (coverage.whole) return "from the cache";
  if (coverage.cached_bytes > 0) return "from the cache as far as it is there, else the store";
  return "from the store";
}

}  // namespace

Result<PathFacts> DescribePath(ObjectStore& store, const LastRequests& requests,
                               const std::string& mount_prefix, const Tiers& tiers,
                               std::string_view path, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::string normal, NormalizeWarmupPath(path));
  WarmupListing listing(store, mount_prefix, normal, WarmupFilter());
  PathFacts facts;
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<std::vector<ObjectInfo>> page, listing.Next(deadline));
    if (!page) return facts;
    facts.is_directory = listing.is_directory();
    for (const ObjectInfo& info : *page) {
      const Tier::Coverage coverage = Cover(tiers, info.version, deadline);
      ++facts.coverage.object_count;
      facts.coverage.total_bytes += info.version.size_bytes;
      facts.coverage.cached_bytes += coverage.cached_bytes;
      facts.coverage.cached_object_count += coverage.whole ? 1 : 0;
      if (facts.is_directory) continue;
      facts.key = info.version.key;
      facts.etag = info.version.etag;
      facts.storage_class = NameOf(info.storage_class);
      facts.served = HowServed(info, coverage);
      facts.last_request = requests.Of(info.version.key);
    }
  }
}

}  // namespace shoal
