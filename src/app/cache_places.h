// Whether the directories of the disk cache are places for one.
#pragma once

#include <string>

#include "base/result.h"
#include "cache/options.h"

namespace shoal {

// kInvalid, naming the option and the directory: one is given twice, also by another name, or is
// the mount point or in it, where each look at the cache would wait for the mount itself.
// `mount_point` is absolute, with symlinks resolved, or empty where it is not known yet; nothing in
// it is looked at. A directory that
// does not answer within a second is taken by its name.
Result<> CheckCachePlaces(const CacheOptions& cache, const std::string& mount_point);

}  // namespace shoal
