// Where a bucket is: from an endpoint and a name to what a request is sent to and signed
// for. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "origin/options.h"

namespace shoal {

struct BucketAddress {
  std::string bucket;
  std::string origin;     // "https://bucket.oss-cn-hangzhou.aliyuncs.com", "http://[::1]:9000"
  std::string host;       // the Host header: origin without its scheme
  std::string base_path;  // before an encoded key: "/" or "/bucket/"
  std::string region;     // to sign for

  friend bool operator==(const BucketAddress&, const BucketAddress&) = default;
};

// An endpoint without a scheme is HTTPS. kInvalid, saying which option is at fault.
Result<BucketAddress> AddressOf(const OriginOptions& options);

}  // namespace shoal
