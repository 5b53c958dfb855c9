// Where access keys come from: a file that an operator or an agent may replace at any
// time, with no remount.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "origin/signer.h"

namespace shoal {

// Thread-safe.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // Keys to sign a request with now. kDenied if there are none, or they have expired.
  virtual Result<AccessKeys> Current() = 0;
};

enum class CredentialFormat : uint8_t {
  kPasswd,  // one line: AccessKeyId:AccessKeySecret
  kSts,     // JSON: SecurityToken, AccessKeyId, AccessKeySecret, Expiration (RFC 3339, UTC)
};

// kInvalid, saying what is wrong but never repeating a secret.
Result<AccessKeys> ParseCredentials(CredentialFormat format, std::string_view text);

// Reads the file now, and again when it changed, looking at most once a second. A new
// file that cannot be used is warned of once, and the keys before stay in force; one that cannot
// be read just now is looked at again. Expired keys are given to nobody. `clock` outlives the
// source.
//
// kDenied if the file is missing, is not a regular file, can be read or written by others
// than its owner, is longer than 64 KiB, or does not parse. If it `may_be_missing`, none of that is
// an error: there are no keys until it can be used.
Result<std::unique_ptr<CredentialSource>> OpenCredentialFile(std::string path,
                                                             CredentialFormat format,
                                                             const Clock& clock,
                                                             bool may_be_missing = false);

}  // namespace shoal
