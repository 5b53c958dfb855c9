// Speaks to the admin port of a mount on this machine. For one thread.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/http_client.h"

namespace shoal {

using Json = nlohmann::ordered_json;

// The mount that a path is in, and the path below its root.
struct PathInMount {
  std::string mount_point;
  std::string relative;  // "" is the root
};
// `path` need not exist, and no mount is asked: one that hangs is named all the same.
// kNotFound: the path is in no mount of ours. kInvalid: it is no path, or it is relative, and the
// working directory was removed.
Result<PathInMount> FindMountOf(const std::string& path);

class AdminClient {
 public:
  // Names as they are; values may have any bytes.
  using Parameters = std::vector<std::pair<std::string, std::string>>;

  // Shows the port its token, and the certificate that SHOAL_ADMIN_CERT and SHOAL_ADMIN_KEY name
  // in the environment, if they do. Errors are ReadAdminAddress's; kDenied for a token that cannot
  // be read, kInvalid for a file of that certificate.
  static Result<AdminClient> Open(const std::string& mount_point, const Clock& clock);

  // kUnreachable: the port does not answer, or wants a certificate and was shown none that it
  // believes. kDenied: it wants another token. The status of
  // the answer in `status`, when it came with a body: refusals have one that says why.
  struct Answer {
    int status = 0;
    std::string body;
  };
  Result<Answer> Ask(std::string_view path, const Parameters& parameters = {});
  // The same, of an answer that is JSON: kInvalid, with the port's ErrorMessage, when it
  // refused.
  Result<Json> GetJson(std::string_view path, const Parameters& parameters = {});

 private:
  AdminClient(std::string url, std::string token, std::unique_ptr<HttpClient> client,
              const Clock& clock)
      : url_(std::move(url)), token_(std::move(token)), client_(std::move(client)), clock_(clock) {}

  std::string url_;
  std::string token_;
  std::unique_ptr<HttpClient> client_;
  const Clock& clock_;
};

}  // namespace shoal
