// Who sent a request, and what they may do.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "testing/origin_files.h"
#include "testing/origin_message.h"
#include "testing/origin_operation.h"

namespace shoal::embedded {

inline constexpr std::string_view kBuiltInKeyId = "shoal-dev";
inline constexpr std::string_view kBuiltInKeySecret = "shoal-dev-secret";

struct Credential {
  AccessKeys keys;
  std::vector<std::string> denied;  // rights, as kOperationNames spells them
};

// What the Authorization header says, taken apart.
struct Claim {
  SignatureScheme scheme = SignatureScheme::kOssV4;
  std::string key_id;
  SigningScope scope;
  int64_t signed_unix_seconds = -1;
  std::string signature;
};

// Fails with AccessDenied for a request that is not signed at all.
ServiceResult<Claim> ParseClaim(const OriginRequest& request);
// By its signature; by its x-amz- headers where there is none.
Dialect DialectOf(const OriginRequest& request);

// The credentials file. JSON, read again when it changes:
//
//   [{"id": "K", "secret": "S"},
//    {"id": "STS.T", "secret": "S", "token": "TOKEN", "expiration": "2030-01-01T00:00:00Z"},
//    {"id": "R", "secret": "S", "deny": ["oss:GetBucketStat", "ListObjects"]}]
//
// or lines of ID:SECRET. Thread-safe.
class Authenticator {
 public:
  // An empty path: the built-in pair only. kInvalid, kNotFound for a file of no use.
  static Result<std::unique_ptr<Authenticator>> Open(const std::string& credentials_path,
                                                     const Clock& clock);

  // The services' own refusals: InvalidAccessKeyId, SignatureDoesNotMatch,
  // RequestTimeTooSkewed, the dialect's ones for tokens, and AccessDenied for a right, or for a
  // header that AWS wants to be signed.
  ServiceResult<> Check(const OriginRequest& request, Operation operation);

 private:
  Authenticator(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}
  Result<> ReadAgainIfChanged();
  // Empty optional: no such key.
  std::optional<Credential> Find(const std::string& key_id);

  const std::string path_;
  const Clock& clock_;
  Mutex mutex_;
  FileStamp stamp_ GUARDED_BY(mutex_);
  std::map<std::string, Credential> credentials_ GUARDED_BY(mutex_);
};

}  // namespace shoal::embedded
