// Signed requests to an embedded origin, for tests. One blocking request at a time over
// libcurl, so that what the tests see is what a client that knows HTTP sees.
#pragma once

#include <curl/curl.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "origin/signer.h"

namespace shoal::embedded {

struct HttpAnswer {
  int curl_code = 0;  // CURLE_OK, or why the answer is not whole
  long status = 0;
  HttpHeaders headers;
  std::string body;
};

// Used by one thread.
class OriginHttpClient {
 public:
  OriginHttpClient(std::string url, AccessKeys keys, const Clock& clock,
                   SignatureScheme scheme = SignatureScheme::kOssV4);
  ~OriginHttpClient();
  OriginHttpClient(const OriginHttpClient&) = delete;
  OriginHttpClient& operator=(const OriginHttpClient&) = delete;

  using Query = std::vector<std::pair<std::string, std::string>>;
  using Headers = HttpHeaders;
  HttpAnswer Ask(const std::string& method, const std::string& bucket, const std::string& key,
                 const Query& query = {}, const Headers& headers = {}, std::string_view body = {});
  // Not signed, and as it stands: "/__origin/stats".
  HttpAnswer AskRaw(const std::string& method, const std::string& target,
                    const Headers& headers = {}, std::string_view body = {});

 private:
  const std::string url_;
  const AccessKeys keys_;
  const Clock& clock_;
  const SignatureScheme scheme_;
  CURL* const curl_;
};

}  // namespace shoal::embedded
