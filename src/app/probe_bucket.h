// One cheap request before mounting, so that a mount that cannot work is refused with the
// reason instead of showing an empty or failing directory.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "origin/credentials.h"
#include "origin/object_store.h"
#include "origin/options.h"

namespace shoal {

// Lists one key below `prefix`. The error's detail says which of them it was: there are no keys
// to sign with (nothing was asked of the store then), it refused the credentials (naming their
// file), the bucket cannot be listed, or the endpoint did not answer; and then what the store said.
// A prefix with nothing below it is only warned of: objects may come.
Result<> ProbeBucket(ObjectStore& store, CredentialSource& credentials,
                     const OriginOptions& options, const std::string& prefix, Deadline deadline);

}  // namespace shoal
