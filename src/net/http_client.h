// HttpClient: blocking HTTP/1.1 over kept-alive connections. Thread-safe.
//
// HTTP and HTTPS, IPv4 and IPv6, through the proxies that the environment names
// (http_proxy, https_proxy, no_proxy) unless told not to. Follows no redirect, keeps no cookie,
// decodes no Content-Encoding. Nothing it returns or logs holds a header of the request.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/http_message.h"

namespace shoal {

struct HttpClientOptions {
  size_t connection_count_max = 64;  // at one time; the next caller waits
  Duration connect_timeout = std::chrono::seconds(5);
  // With no byte at all; whole seconds, to which libcurl's averaging adds about three.
  Duration stall_timeout = std::chrono::seconds(10);
  std::string ca_file{};                // PEM; empty: the system's authorities
  bool ca_file_may_be_missing = false;  // calls fail with kUnusable while it is
  bool verify_certificate = true;
  // Of public_key_pin.h: who has this key is the server, and its certificate is not looked at.
  std::string public_key_pin{};
  // PEM, to show to a server that asks for one; empty: there is none. The key may be in the same
  // file, and is not encrypted.
  std::string client_certificate_file{};
  std::string client_key_file{};
  bool use_proxy = true;   // one that the environment names
  std::stop_token stop{};  // once asked for, calls end within a second or so
};

class CurlHandles;

class HttpClient {
 public:
  // kInvalid if a file that is named cannot be read. `clock` outlives the client.
  static Result<std::unique_ptr<HttpClient>> Create(const HttpClientOptions& options,
                                                    const Clock& clock);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Success: a whole answer came, of whatever status, and `receiver` has all of it. The
  // receiver is called on this thread, with no lock held.
  //
  // kInterrupted the receiver wanted no more, or `stop` was asked for; kTimedOut no connection,
  // no byte or no end in time; kUnreachable no answer, or one cut short or not HTTP; kUnusable
  // the server's certificate does not verify, or has another key than the pin, it speaks no TLS, a
  // proxy refuses, or a header of the request, which may have come from there, holds a control
  // byte.
  Result<> Send(const HttpRequest& request, HttpReceiver& receiver, Deadline deadline);

  // From now on. Calls under way go on.
  void SetConnectionCountMax(size_t connection_count_max);

 private:
  HttpClient(const HttpClientOptions& options, const Clock& clock);

  const HttpClientOptions options_;
  const Clock& clock_;
  const std::unique_ptr<CurlHandles> handles_;
};

}  // namespace shoal
