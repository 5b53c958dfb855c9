// HttpClient: blocking HTTP/1.1 over kept-alive connections. Thread-safe.
//
// HTTP and HTTPS, IPv4 and IPv6, through the proxies that the environment names (proxy.h) unless
// told not to. Follows no redirect, keeps no cookie, decodes no Content-Encoding. Nothing it
// returns or logs holds a header of the request.
#pragma once

#include <cstddef>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "net/http_client_options.h"
#include "net/http_message.h"

namespace shoal {

class KeptConnections;

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
  // proxy refuses or is none, or the target or a header of the request, which may have come from
  // there, holds a control byte.
  //
  // A GET or HEAD that a kept connection leaves unanswered is sent once more, on a new one.
  Result<> Send(const HttpRequest& request, HttpReceiver& receiver, Deadline deadline);

  // From now on. Calls under way go on.
  void SetConnectionCountMax(size_t connection_count_max);

 private:
  HttpClient(const HttpClientOptions& options, const Clock& clock);

  const HttpClientOptions options_;
  const Clock& clock_;
  const std::unique_ptr<KeptConnections> connections_;
};

}  // namespace shoal
