// HttpServer: a small HTTP/1.1 server for an interface that few people and programs use.
//
// One thread speaks to the sockets; answers are made on a few threads of low priority, one
// call of a connection at a time. What a client may make it hold in memory is bounded for
// each call and in sum, and so is the time that it may take for each step. Pipelined calls
// are answered in order; Expect: 100-continue is honoured. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http_call.h"
#include "net/http_call_parser.h"

namespace shoal {

// Runs on any of the server's threads for answers, several at once. What it waits for needs
// a deadline: ending the server waits for it.
using HttpHandler = std::function<HttpAnswer(const HttpCall& call)>;
// What the server answers by itself, with a status of 4xx or 5xx and a sentence for people.
using HttpRefusal = std::function<HttpAnswer(int status, std::string_view reason)>;

struct HttpServerOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6, not a name
  uint16_t port = 0;                  // 0: any free one
  // With all of them in use, the one that has been idle longest makes room, if that is a
  // second or more; else the one whose client has kept it waiting longest, if that is ten seconds
  // or more; else a further one is answered 503 and closed.
  size_t connection_count_max = 256;
  HttpCallBounds call;  // beyond: 431 and 413
  // What all connections hold together: calls as they come, answers as they go. Beyond: 503,
  // but for calls and answers of up to 64 KiB.
  // One answer may be larger, when the others hold less than a quarter of this.
  size_t held_bytes_max = 64 << 20;
  size_t handler_count_max = 4;
  Duration head_timeout = std::chrono::seconds(10);   // from a call's first byte; then 408
  Duration body_timeout = std::chrono::seconds(30);   // from the end of the head; then 408
  Duration idle_timeout = std::chrono::seconds(60);   // between calls; then closed
  Duration write_timeout = std::chrono::seconds(60);  // for the whole answer; then closed
  // PEM files; both or neither. With them: TLS 1.2 or later, and nothing else.
  std::string certificate_file{};  // with the chain
  std::string key_file{};
  std::string client_ca_file{};  // not empty: clients need a certificate that this signed
  HttpRefusal refusal{};         // empty: the reason as text/plain
};

class HttpServer {
 public:
  // Listens when it returns. `clock` judges the time limits, and outlives the server.
  // kInvalid for an address or a file of no use; kBusy for an address in use, kDenied for one
  // that needs more rights. The detail begins with the address or the file.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                   HttpHandler handler, const Clock& clock);
  // Stops listening and closes every connection, then waits for the handlers under way.
  ~HttpServer();  // NOLINT(bugprone-exception-escape): its definition says why
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] uint16_t port() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace shoal
