// One cheap request before mounting, so that a mount that cannot work is refused with the
// reason instead of showing an empty or failing directory.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "origin/object_store.h"
#include "origin/options.h"

namespace shoal {

// Lists one key below `prefix`. The error's detail says which of them it was: the store
// refused the credentials (naming their file), the bucket cannot be listed, or the endpoint
// did not answer; and then what the store said. A prefix with nothing below it is only
// warned of: objects may come.
Result<> ProbeBucket(ObjectStore& store, const OriginOptions& options, const std::string& prefix,
                     Deadline deadline);

}  // namespace shoal
