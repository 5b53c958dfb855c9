// What a mount is made of, for those who report on it. Owns nothing; everything outlives it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metric.h"
#include "cache/counted_source.h"
#include "cache/open_tiers.h"
#include "fs/file_system.h"
#include "fuse/session.h"
#include "origin/measured_store.h"

namespace shoal {

// Of the processes that served the mount before this one.
struct WorkersBefore {
  uint64_t death_count = 0;
  int64_t last_death_unix_seconds = 0;  // when death_count is not 0
  uint64_t replaced_count = 0;          // on purpose
};

struct NodeParts {
  std::string version;
  std::string source;  // as findmnt shows them
  std::string mount_point;
  std::string type;  // "alinas"
  const Tiers& tiers;
  const PlaceCounters& reads;    // in front of the tiers
  const PlaceCounters& fetches;  // behind them
  const StoreMetrics& store;
  const Counter& hidden_keys;
  const FileSystem& file_system;
  const Session& session;
  const Clock& clock;
  const WorkersBefore workers_before{};

  [[nodiscard]] bool has_cache() const { return tiers.memory || tiers.disk; }
  // As operators think of them: memory first, then each directory.
  [[nodiscard]] std::vector<CacheVolume*> volumes() const {
    std::vector<CacheVolume*> volumes;
    for (const Tier* tier : {tiers.memory.get(), tiers.disk.get()})
      if (tier != nullptr)
        for (const auto& volume : tier->volumes()) volumes.push_back(volume.get());
    return volumes;
  }
};

// "memory" or "disk".
inline std::string_view KindOf(const CacheVolume& volume) {
  return volume.is_memory() ? "memory" : "disk";
}
// The directory as its user wrote it, with a slash at the end; "" for memory.
inline std::string PathOf(const CacheVolume& volume) {
  constexpr std::string_view kOurs = "shoal-cache";
  if (volume.is_memory()) return "";
  std::string path = volume.name();
  if (path.ends_with(kOurs)) path.resize(path.size() - kOurs.size());
  return path;
}

}  // namespace shoal
