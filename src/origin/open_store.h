#pragma once

#include <memory>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "net/http_client.h"
#include "origin/credentials.h"
#include "origin/last_requests.h"
#include "origin/object_store.h"
#include "origin/options.h"

namespace shoal {

// The keys of the credential file that `options` name, which is read now. `clock` outlives
// them. Thread-safe. kInvalid unless they name one, kDenied for a file that is missing,
// unreadable or open to others.
Result<std::unique_ptr<CredentialSource>> OpenCredentials(const OriginOptions& options,
                                                          const Clock& clock);

// What a store may be given beside.
struct StoreMeans {
  LastRequests* requests = nullptr;  // is told of each request for an object; outlives the store
  // Once asked for, calls under way and new ones fail with kInterrupted within a second or so.
  std::stop_token stop{};
};

// How its connections are made and waited for.
[[nodiscard]] HttpClientOptions ConnectionOptionsOf(const OriginOptions& options);

// The bucket that `options` name, with retries. Makes no request. `clock` outlives the store.
// Thread-safe. kInvalid for options that make no sense together.
Result<std::unique_ptr<ObjectStore>> OpenStore(const OriginOptions& options,
                                               std::shared_ptr<CredentialSource> credentials,
                                               const Clock& clock, const StoreMeans& means = {});

}  // namespace shoal
