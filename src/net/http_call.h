// One HTTP exchange, as the server sees it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

struct HttpCall {
  std::string method{};  // as sent
  std::string target{};  // path and query as sent: percent-encoded, begins with a slash
  // Names in lower case. Values of a repeated name are joined with ", ", as RFC 9110 has it.
  std::map<std::string, std::string, std::less<>> headers{};
  std::string body{};
  std::string local_address{};  // the end that the client reached: "127.0.0.1:17871"
  bool secure = false;          // over TLS
};

struct HttpAnswer {
  int status = 200;
  // Without those that frame the message: Content-Length, Connection, Date.
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};

  friend bool operator==(const HttpAnswer&, const HttpAnswer&) = default;
};

}  // namespace shoal
