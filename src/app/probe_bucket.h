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
// kNotDirectory: the prefix is an object. Gives a warning for people, or an empty text: a prefix
// with nothing below it is only warned of, as objects may come.
Result<std::string> ProbeBucket(ObjectStore& store, CredentialSource& credentials,
                                const OriginOptions& options, const std::string& prefix,
                                Deadline deadline);

}  // namespace shoal
