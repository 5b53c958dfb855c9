// ClientConnection: the client's end of one connection at a time, over TLS where the origin is
// https://, through a proxy where the environment names one.
//
// libcurl finds the address, connects, speaks to the proxy and does TLS (CURLOPT_CONNECT_ONLY);
// what is sent and received is ours, so that it is received where it is to stay.
//
// Used by one thread at a time. The origin is for the caller to put before what errors say.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http_client_options.h"
#include "net/proxy.h"

namespace shoal {

class ClientConnection {
 public:
  // All three outlive it. `shared` is what the connections of a client know of names and servers.
  ClientConnection(const HttpClientOptions& options, const Clock& clock, CURLSH* shared)
      : options_(options), clock_(clock), shared_(shared) {}
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  // In place of the one there was. The errors are those of HttpClient::Send.
  Result<> Open(const std::string& origin, Deadline deadline);
  void Close() { handle_.reset(); }
  // It leads there, all that was sent was taken, and nothing came since the last answer: not a
  // byte, nor the end. Only sending tells whether the other side is there still.
  [[nodiscard]] bool IsAtRest(const std::string& origin);
  // Of the last Open.
  [[nodiscard]] const Proxy& proxy() const { return proxy_; }

  // Both REQUIRE that it is open. kUnreachable it broke, kTimedOut, kInterrupted, as
  // HttpClient::Send.
  //
  // All of it; or less where the other side answers before that.
  Result<> Send(std::string_view bytes, Deadline deadline);
  // How many bytes came, at least one; 0 once the other side has ended the connection. REQUIRES:
  // `room` is not empty.
  Result<size_t> Receive(std::span<std::byte> room, Deadline deadline);

 private:
  struct Cleanup {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };

  void SetOptions(CURL* handle, const std::string& origin, Duration remaining);
  Error WhyNotOpen(CURL* handle, CURLcode code, const std::string& origin) const;
  // Something came, if only the end. Takes one byte out of it.
  bool HasInput();
  // Nobody asked for the end, and there is time.
  [[nodiscard]] Result<> MayGoOn(Deadline deadline) const;
  // For the socket to be ready for `events` of poll(2), or for a moment to pass.
  Result<> Await(short events, Deadline deadline, Instant stalled_at) const;
  [[nodiscard]] Error Broken(CURLcode code) const;

  const HttpClientOptions& options_;
  const Clock& clock_;
  CURLSH* const shared_;
  std::array<char, CURL_ERROR_SIZE> reason_{};  // libcurl's words for its last failure
  // Ends with its connection, and has no other: libcurl would not part with it otherwise.
  std::unique_ptr<CURL, Cleanup> handle_;
  curl_socket_t socket_ = CURL_SOCKET_BAD;  // the handle's
  std::string origin_;
  Proxy proxy_;
  Instant used_at_{};
  std::optional<std::byte> early_byte_;  // that HasInput took
  bool cut_short_ = false;               // not all was sent
};

}  // namespace shoal
