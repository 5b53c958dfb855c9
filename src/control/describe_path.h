#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cache/open_tiers.h"
#include "control/path_facts.h"
#include "origin/object_store.h"

namespace shoal {

// Asks the store, and looks what the cache has; also of what is below a directory, which takes
// a listing. kNotFound: nothing has the path. Safe from any thread.
Result<PathFacts> DescribePath(ObjectStore& store, const std::string& mount_prefix,
                               const Tiers& tiers, std::string_view path, Deadline deadline);

}  // namespace shoal
