#include "net/http_connection.h"

#include <spdlog/fmt/chrono.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/status.hpp>
#include <cassert>
#include <exception>
#include <utility>

#include "base/log.h"
#include "net/chunked_input.h"

namespace shoal {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kReadBytesMin = 4 << 10;
constexpr size_t kReadBytesMax = 64 << 10;
// What little calls need is never refused, so that large ones cannot keep them out.
constexpr size_t kHeldBytesFree = 64 << 10;
constexpr Duration kPartingTime = std::chrono::seconds(2);
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr int kHandlerNiceness = 10;  // reads through the mount come first

std::string NameOf(const asio::ip::tcp::endpoint& end) {
  const bool v6 = end.address().is_v6();
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", end.address().to_string(), v6 ? "]" : "",
                     end.port());
}

std::string HeadOf(const HttpAnswer& answer, bool keep_alive, int64_t now_unix_seconds) {
  const auto phrase =
      http::obsolete_reason(http::int_to_status(static_cast<unsigned>(answer.status)));
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {:%a, %d %b %Y %H:%M:%S} GMT\r\nContent-Length: {}\r\n"
      "Connection: {}\r\n",
      answer.status, std::string_view(phrase.data(), phrase.size()),
      fmt::gmtime(std::time_t{now_unix_seconds}), answer.body.size(),
      keep_alive ? "keep-alive" : "close");
  for (const auto& [name, value] : answer.headers) head += fmt::format("{}: {}\r\n", name, value);
  return head + "\r\n";
}

HttpAnswer RefusalOf(const HttpServerOptions& options, int status, std::string_view reason) {
  if (options.refusal) return options.refusal(status, reason);
  return {status, {{"Content-Type", "text/plain"}}, std::string(reason) + "\n"};
}

void LowerPriority() {
  thread_local const int done =
      setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kHandlerNiceness);
  static_cast<void>(done);
}

// Null: there is none. Libraries throw, and an answer less is better than a mount less.
std::shared_ptr<HttpAnswer> Ask(const HttpHandler& handler, const HttpCall& call) {
  try {
    return std::make_shared<HttpAnswer>(handler(call));
  } catch (const std::exception& fault) {
    log::Error("answering {} {} failed: {}", log::Printable(call.method),
               log::Printable(call.target), log::Printable(fault.what()));
    return nullptr;
  }
}

}  // namespace

HttpConnection::HttpConnection(std::unique_ptr<HttpStream> stream, HttpServerParts& parts)
    : parts_(parts),
      stream_(std::move(stream)),
      since_(parts.clock.Now()),
      buffer_(parts.options.call.head_bytes_max + kReadBytesMax) {
  error_code fault;
  const auto end = stream_->socket().local_endpoint(fault);
  if (!fault) local_address_ = NameOf(end);
}

HttpConnection::~HttpConnection() {
  parts_.held_bytes -= held_bytes_;
}

void HttpConnection::Serve() {
  SetDeadline(parts_.options.head_timeout);
  stream_->Handshake([self = shared_from_this()](error_code fault, size_t) {
    if (self->step_ != Step::kHandshake) return;
    if (fault) return self->Close();
    self->AwaitCall();
  });
}

std::string HttpConnection::RefusalText(const HttpServerParts& parts, int status,
                                        std::string_view reason) {
  const HttpAnswer answer = RefusalOf(parts.options, status, reason);
  return HeadOf(answer, /*keep_alive=*/false, parts.clock.UnixSeconds()) + answer.body;
}

void HttpConnection::RefuseAsTooMany() {
  is_surplus_ = true;
  Refuse(503, kTooManyConnections);
}

void HttpConnection::AwaitCall() {
  step_ = Step::kReading;
  since_ = parts_.clock.Now();
  parser_.emplace(parts_.options.call);
  call_begun_ = head_done_ = false;
  waited_for_client_ = Duration::zero();
  if (buffer_.size() == 0) {
    buffer_.clear();
    if (buffer_.capacity() > kReadBytesMin) buffer_.shrink_to_fit();
  }
  Hold(0);
  SetDeadline(parts_.options.idle_timeout);
  if (buffer_.size() > 0) return TookBytes(0);
  Read();
}

void HttpConnection::Read() {
  const size_t room = std::min(buffer_.max_size() - buffer_.size(), kReadBytesMax);
  if (room == 0) return Refuse(400, "not a request that can be read: a line without an end");
  const auto piece =
      buffer_.prepare(std::min(room, std::max(kReadBytesMin, buffer_.capacity() - buffer_.size())));
  if (!Hold(0)) {
    if (step_ == Step::kParting) return Close();
    return Refuse(503, "too much is on its way at once; try again in a moment");
  }
  read_pending_ = true;
  stream_->Read(piece, [self = shared_from_this()](error_code fault, size_t byte_count) {
    self->read_pending_ = false;
    // Who only sends no more may still read.
    if (fault == asio::error::eof && self->step_ == Step::kReading && self->call_begun_)
      return self->Refuse(400, "the request ended in its middle");
    if (fault) return self->Close();
    if (self->step_ == Step::kReading) return self->TookBytes(byte_count);
    // What comes when a refusal is on its way, or was sent, is of no interest.
    if (self->step_ == Step::kParting) self->Part();
  });
}

void HttpConnection::TookBytes(size_t byte_count) {
  buffer_.commit(byte_count);
  if (!call_begun_) {
    call_begun_ = true;
    since_ = parts_.clock.Now();
    SetDeadline(parts_.options.head_timeout);
  }
  Parse();
}

void HttpConnection::Parse() {
  while (buffer_.size() > 0 && !parser_->is_done() && !AwaitsMore(*parser_, buffer_.size())) {
    error_code fault;
    const size_t used = parser_->put(buffer_.data(), fault);
    buffer_.consume(used);
    if (fault == http::error::need_more) break;
    if (fault)
      return Refuse(StatusOfParserFault(fault),
                    "not a request that can be read: " + fault.message());
  }
  if (parser_->is_done()) return Dispatch();
  if (parser_->is_header_done() && !head_done_) {
    head_done_ = true;
    SetDeadline(parts_.options.body_timeout);
    const auto& headers = parser_->call().headers;
    if (const auto expect = headers.find("expect"); expect != headers.end()) return AskForBody();
  }
  Read();
}

void HttpConnection::AskForBody() {
  step_ = Step::kAskingForBody;
  const asio::const_buffer text(kContinue.data(), kContinue.size());
  stream_->Write({text, {}}, [self = shared_from_this()](error_code fault, size_t) {
    if (self->step_ != Step::kAskingForBody) return;
    if (fault) return self->Close();
    self->step_ = Step::kReading;
    self->Read();
  });
}

void HttpConnection::Dispatch() {
  if (!Hold(0)) return Refuse(503, "too much is on its way at once; try again in a moment");
  step_ = Step::kAnswering;
  waited_for_client_ = parts_.clock.Now() - since_;
  deadline_ = Instant::max();  // the handler has its own
  HttpCall& call = parser_->call();
  call.local_address = local_address_;
  call.secure = !parts_.options.certificate_file.empty();
  parts_.handlers.Run([self = shared_from_this(), &call]() mutable {
    LowerPriority();
    const std::shared_ptr<HttpAnswer> answer = Ask(self->parts_.handler, call);
    asio::io_context& io = self->parts_.io;
    // Moved: the connection must not end on this thread.
    asio::post(io, [self = std::move(self), answer] {
      if (self->step_ != Step::kAnswering) return;
      if (answer == nullptr) return self->Refuse(500, "internal error; the log says more");
      if (!self->MayHold(*answer))
        return self->Refuse(503, "too many large answers are on their way; try again in a moment");
      self->Write(std::move(*answer), self->parser_->keep_alive());
    });
  });
}

void HttpConnection::Refuse(int status, std::string_view reason) {
  HttpAnswer answer = RefusalOf(parts_.options, status, reason);
  if (!read_pending_) {
    buffer_.clear();
    buffer_.shrink_to_fit();
  }
  Write(std::move(answer), /*keep_alive=*/false);
}

// False: the others hold too much already.
bool HttpConnection::MayHold(const HttpAnswer& answer) {
  const bool fits = Hold(answer.body.capacity());
  const size_t others_bytes = parts_.held_bytes - held_bytes_;
  return fits || others_bytes <= parts_.options.held_bytes_max / 4;
}

void HttpConnection::Write(HttpAnswer answer, bool keep_alive) {
  Hold(answer.body.capacity());
  const bool bodiless = parser_ && parser_->call().method == "HEAD";
  step_ = Step::kWriting;
  since_ = parts_.clock.Now() - waited_for_client_;
  closing_after_answer_ = !keep_alive;
  answer_head_ = HeadOf(answer, keep_alive, parts_.clock.UnixSeconds());
  answer_ = std::move(answer);
  if (bodiless) answer_.body.clear();
  SetDeadline(parts_.options.write_timeout);
  stream_->Write({asio::buffer(answer_head_), asio::buffer(answer_.body)},
                 [self = shared_from_this()](error_code fault, size_t) {
                   if (self->step_ != Step::kWriting) return;
                   if (fault) return self->Close();
                   self->Wrote();
                 });
}

void HttpConnection::Wrote() {
  // Taken away: assigned something short, the body would keep its memory.
  { const HttpAnswer written = std::move(answer_); }
  if (!closing_after_answer_) return AwaitCall();
  Hold(0);
  step_ = Step::kParting;
  error_code fault;
  stream_->socket().shutdown(asio::ip::tcp::socket::shutdown_send, fault);
  SetDeadline(kPartingTime);
  if (!read_pending_) Part();
}

void HttpConnection::Part() {
  buffer_.clear();
  Read();
}

bool HttpConnection::Hold(size_t answer_bytes) {
  const size_t now = buffer_.capacity() + (parser_ ? parser_->size_bytes() : 0) + answer_bytes;
  parts_.held_bytes += now - held_bytes_;  // unsigned, and never below zero in sum
  held_bytes_ = now;
  return now <= kHeldBytesFree || parts_.held_bytes <= parts_.options.held_bytes_max;
}

void HttpConnection::Tick(Instant now) {
  if (now >= deadline_) TimeOut();
}

void HttpConnection::TimeOut() {
  if (step_ == Step::kReading && call_begun_)
    return Refuse(408, "the request did not come to its end in time");
  Close();
}

void HttpConnection::GiveWay() {
  is_surplus_ = true;
  TimeOut();
}

std::optional<Instant> HttpConnection::idle_since() const {
  if (step_ != Step::kReading || call_begun_) return std::nullopt;
  return since_;
}

std::optional<Instant> HttpConnection::slow_since() const {
  const bool is_slow = (step_ == Step::kReading && call_begun_) || step_ == Step::kAskingForBody ||
                       step_ == Step::kWriting;
  if (!is_slow) return std::nullopt;
  return since_;
}

void HttpConnection::Close() {
  if (step_ == Step::kClosed) return;
  step_ = Step::kClosed;
  error_code fault;
  stream_->socket().close(fault);
  parts_.connections.erase(shared_from_this());
}

}  // namespace shoal
