#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cache/open_tiers.h"
#include "control/path_facts.h"
#include "origin/last_requests.h"
#include "origin/object_store.h"

namespace shoal {

// Asks the store, and looks what the cache has; also of what is below a directory, which takes
// a listing. kNotFound: nothing has the path. Safe from any thread. What `store` tells
// `requests`, if it does, hides what was there before.
Result<PathFacts> DescribePath(ObjectStore& store, const LastRequests& requests,
                               const std::string& mount_prefix, const Tiers& tiers,
                               std::string_view path, Deadline deadline);

}  // namespace shoal
