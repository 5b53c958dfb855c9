// One client's connection to HttpServer: reads calls, has them answered, writes the answers,
// and keeps to the bounds. Everything here belongs to the server's I/O thread, but for the
// handler itself.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "net/http_server.h"
#include "net/http_stream.h"

namespace shoal {

class HttpConnection;

// What the connections of a server share. All of it outlives them.
struct HttpServerParts {
  const HttpServerOptions& options;
  const HttpHandler& handler;
  const Clock& clock;
  boost::asio::io_context& io;
  ThreadPool& handlers;
  std::set<std::shared_ptr<HttpConnection>>& connections;  // those that are open
  size_t held_bytes = 0;                                   // by all of them
};

class HttpConnection final : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::unique_ptr<HttpStream> stream, HttpServerParts& parts);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  static constexpr std::string_view kTooManyConnections =
      "too many connections; try again in a moment";
  // The whole of a refusal, for one who gets no connection of this kind.
  static std::string RefusalText(const HttpServerParts& parts, int status, std::string_view reason);

  // Either one, once, when it is in parts.connections.
  void Serve();
  void RefuseAsTooMany();

  // Looks at the time limits; called several times a second.
  void Tick(Instant now);
  // Takes it out of parts.connections as well; again: nothing.
  void Close();

  // Since when it has waited for the first byte of a call, if that is what it does.
  [[nodiscard]] std::optional<Instant> idle_since() const;
  // Since when its client has kept it waiting, for the rest of a call or for room for the answer;
  // without the time that the answer took to make.
  [[nodiscard]] std::optional<Instant> slow_since() const;
  // Makes room for another: as if its time were over.
  void GiveWay();
  // Takes no further call: it was one too many, or has its last answer.
  [[nodiscard]] bool is_leaving() const { return is_surplus_ || step_ == Step::kParting; }

 private:
  enum class Step : uint8_t {
    kHandshake,
    kReading,
    kAskingForBody,
    kAnswering,
    kWriting,
    kParting,
    kClosed
  };

  void TimeOut();
  void AwaitCall();
  void Read();
  void TookBytes(size_t byte_count);
  void Parse();
  void AskForBody();  // 100 Continue
  void Dispatch();
  void Refuse(int status, std::string_view reason);
  bool MayHold(const HttpAnswer& answer);
  void Write(HttpAnswer answer, bool keep_alive);
  void Wrote();
  // Reads on for a moment: closing with bytes unread would take the answer from the client.
  void Part();
  // Counts what this connection holds now; false if that is too much.
  bool Hold(size_t answer_bytes);
  void SetDeadline(Duration wait) { deadline_ = parts_.clock.Now() + wait; }

  HttpServerParts& parts_;
  const std::unique_ptr<HttpStream> stream_;
  std::string local_address_;
  Step step_ = Step::kHandshake;
  Instant since_;                 // see idle_since() and slow_since()
  Duration waited_for_client_{};  // before the answer was begun
  Instant deadline_ = Instant::max();
  bool read_pending_ = false;
  bool closing_after_answer_ = false;
  bool is_surplus_ = false;
  size_t held_bytes_ = 0;
  boost::beast::flat_buffer buffer_;  // what was read and not parsed
  std::optional<HttpCallParser> parser_;
  bool call_begun_ = false;  // its first byte has come
  bool head_done_ = false;
  std::string answer_head_;  // on its way
  HttpAnswer answer_;
};

}  // namespace shoal
