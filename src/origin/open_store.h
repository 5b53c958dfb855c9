#pragma once

#include <memory>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "origin/last_requests.h"
#include "origin/object_store.h"
#include "origin/options.h"

namespace shoal {

// The bucket that `options` names, with retries. Reads the credential file now (and
// fails if it cannot be used) but makes no request. `requests`, which may be null, is told
// of each one for an object, and outlives the store, as does `clock`. Once `stop` is asked for,
// calls under way and new ones fail with kInterrupted within a second or so. Thread-safe. kInvalid
// for options that make no sense together, kDenied for a credential file that is missing,
// unreadable or open to others.
Result<std::unique_ptr<ObjectStore>> OpenStore(const OriginOptions& options, LastRequests* requests,
                                               const Clock& clock,
                                               const std::stop_token& stop = {});

}  // namespace shoal
