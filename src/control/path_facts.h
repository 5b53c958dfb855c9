// What the store and the cache have of one path now, and how the store was last asked for it.
#pragma once

#include <optional>
#include <string>

#include "control/warmup_tasks.h"
#include "origin/last_requests.h"

namespace shoal {

struct PathFacts {
  bool is_directory = false;
  WarmCoverage coverage;
  // Of a file only.
  std::string key;
  std::string etag;
  std::string storage_class;
  std::string served;  // how a read of it would be served, for people
  // For its bytes or attributes, whoever wanted them; not for these facts. Empty: none that is
  // remembered.
  std::optional<LastRequest> last_request{};
};

}  // namespace shoal
