// Request signatures as pure functions of the request, the secret and the time: no
// clock, no I/O. The client signs with them and the embedded origin checks with them;
// that both agree with the providers is proved by the providers' published examples
// (signer_test.cc) and by clients we did not write (tests/conformance).
//
//   OSS V1   help.aliyun.com/document_detail/31951  "Authorization: OSS id:signature"
//   OSS V4   help.aliyun.com/document_detail/2633966 "OSS4-HMAC-SHA256 ..."
//   AWS V4   docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "net/http_message.h"

namespace shoal {

enum class SignatureScheme : uint8_t { kOssV1, kOssV4, kAwsV4 };

struct AccessKeys {
  std::string id{};
  std::string secret{};
  std::string security_token{};      // empty unless temporary
  int64_t expires_unix_seconds = 0;  // 0: never

  friend bool operator==(const AccessKeys&, const AccessKeys&) = default;
};

struct SignableRequest {
  std::string method{};
  std::string bucket{};  // empty for a request to the service
  std::string key{};     // decoded; empty for a request to the bucket
  // The path of the request line, percent-encoded, without the query. AWS signs this;
  // OSS signs bucket and key.
  std::string encoded_path{};
  std::vector<std::pair<std::string, std::string>> query{};  // decoded
  HttpHeaders headers{};
};

// What the signature depends on beside the request and the secret.
struct SigningScope {
  // V4: 20261121T043000Z. V1: the x-oss-date header, or without one the Date header.
  std::string timestamp{};
  std::string region{};   // V4 only, e.g. "cn-hangzhou", "us-east-1"
  std::string service{};  // V4 only: "oss" or "s3"
  // AWS V4: SignedHeaders. OSS V4: AdditionalHeaders (beyond x-oss-*, content-type and
  // content-md5, which are always signed). Lower case, sorted.
  std::vector<std::string> signed_headers{};
};

// The key that V4 makes of a secret for a day, a region and a service: the last one is kept, for
// making it takes four of the five hashes of a signature. Thread-safe.
class SigningKey {
 public:
  // `parts`: the secret with its prefix, then what it is for, in the order of the scheme.
  std::string Of(const std::array<std::string, 5>& parts) EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::array<std::string, 5> parts_ GUARDED_BY(mutex_);
  std::string key_ GUARDED_BY(mutex_);
};

// The signature itself: base64 for V1, lower-case hex for the others. V4 signs the
// payload's hash that x-oss-content-sha256 (x-amz-content-sha256) names, and
// UNSIGNED-PAYLOAD without one. `key`, unless null, is for signatures one after the other.
[[nodiscard]] std::string Signature(SignatureScheme scheme, const SignableRequest& request,
                                    const SigningScope& scope, std::string_view secret,
                                    SigningKey* key = nullptr);

// Adds to the headers of `request`, which has none of these yet: the date, the token and the
// content hash where the scheme has them, and Authorization. The payload is signed as
// UNSIGNED-PAYLOAD. AWS V4 signs every header of `request`, which must include host. `key` as
// above.
void Sign(SignatureScheme scheme, SignableRequest& request, const AccessKeys& keys,
          std::string_view region, int64_t now_unix_seconds, SigningKey* key = nullptr);

// Percent-encodes every byte but the unreserved ones of RFC 3986; '/' too unless kept.
[[nodiscard]] std::string PercentEncode(std::string_view text, bool keep_slash);

}  // namespace shoal
