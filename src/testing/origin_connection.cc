#include "testing/origin_connection.h"

#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <csignal>

#include "base/log.h"
#include "net/base64.h"
#include "testing/origin_body.h"
#include "testing/origin_digest.h"
#include "testing/origin_documents.h"
#include "testing/origin_range.h"

namespace shoal::embedded {
namespace {

namespace http = boost::beast::http;
using boost::beast::flat_buffer;
using boost::system::error_code;

constexpr uint32_t kHeadBytesMax = 64 << 10;
constexpr size_t kControlBodyBytesMax = 1 << 20;
// A body that nobody wanted is read to its end up to this; past it the connection closes, after
// its client had this long to take the answer.
constexpr uint64_t kUnreadBodyBytesMax = 8 << 20;
constexpr Duration kPartingTime = std::chrono::seconds(2);
constexpr std::string_view kControlPath = "/__origin/";
constexpr std::string_view kWrongEtag = "\"00000000000000000000000000000BAD\"";
// Pieces of a limited body: 5 ms' worth of its rate, within these.
constexpr uint64_t kPacedPieceBytesMin = 4 << 10;
constexpr uint64_t kPacedPieceBytesMax = 256 << 10;
constexpr uint64_t kPacedPiecesPerSecond = 200;
// After each piece a stop is noticed, and a change of the file.
constexpr uint64_t kUnpacedPieceBytesMax = 1 << 20;
// The end of a file's bytes, which goes only when the file is known to be unchanged.
constexpr uint64_t kHeldBackBytesMax = 4 << 10;

// A socket as Beast wants its streams: blocking, with time limits set on the socket.
class SocketStream {
 public:
  explicit SocketStream(int fd) : fd_(fd) {}

  // More is coming at once: do not send a small packet yet.
  void set_more(bool more) { more_ = more; }

  template <class Buffers>
  size_t read_some(const Buffers& buffers, error_code& ec) {
    const auto first = *boost::asio::buffer_sequence_begin(buffers);
    while (true) {
      const ssize_t got = recv(fd_, first.data(), first.size(), 0);
      if (got > 0) return static_cast<size_t>(got);
      if (got == 0) {
        ec = boost::asio::error::eof;
        return 0;
      }
      if (errno != EINTR) {
        ec = error_code(errno, boost::system::system_category());
        return 0;
      }
    }
  }
  template <class Buffers>
  size_t write_some(const Buffers& buffers, error_code& ec) {
    std::array<iovec, 16> pieces;
    size_t count = 0;
    for (auto piece = boost::asio::buffer_sequence_begin(buffers);
         piece != boost::asio::buffer_sequence_end(buffers) && count < pieces.size(); ++piece) {
      const boost::asio::const_buffer buffer = *piece;
      pieces[count++] = {const_cast<void*>(buffer.data()), buffer.size()};
    }
    msghdr message = {};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    while (true) {
      const ssize_t put = sendmsg(fd_, &message, MSG_NOSIGNAL | (more_ ? MSG_MORE : 0));
      if (put >= 0) return static_cast<size_t>(put);
      if (errno != EINTR) {
        ec = error_code(errno, boost::system::system_category());
        return 0;
      }
    }
  }
  // The throwing forms: Beast checks that they exist, and nothing calls them.
  template <class Buffers>
  size_t read_some(const Buffers& buffers);
  template <class Buffers>
  size_t write_some(const Buffers& buffers);

 private:
  const int fd_;
  bool more_ = false;
};

using Parser = http::request_parser<http::buffer_body>;

// The body that follows a head on the same connection.
class SocketBody final : public RequestBody {
 public:
  SocketBody(SocketStream& stream, flat_buffer& buffer, Parser& parser, Statistics& statistics)
      : stream_(stream), buffer_(buffer), parser_(parser), statistics_(statistics) {
    expects_continue_ = boost::beast::iequals(parser.get()[http::field::expect], "100-continue");
  }

  ServiceResult<size_t> Read(std::span<std::byte> out) override {
    error_code ec;
    if (expects_continue_ && !parser_.is_done()) {
      http::response<http::empty_body> go_on(http::status::continue_, 11);
      http::write(stream_, go_on, ec);
      expects_continue_ = false;
    }
    while (!ec && !parser_.is_done()) {
      http::buffer_body::value_type& target = parser_.get().body();
      target.data = out.data();
      target.size = out.size();
      target.more = true;
      http::read_some(stream_, buffer_, parser_, ec);
      if (ec == http::error::need_buffer) ec = {};
      const size_t size = out.size() - target.size;
      statistics_.Received(size);
      if (!ec && size > 0) return size;
    }
    if (!ec) return size_t{0};
    broken_ = true;
    return Refuse({400, "IncompleteBody", "The body of the request ended early."});
  }

  // What remains is read and dropped, so that the next request can be found. False where
  // the connection cannot go on.
  bool Drain() {
    if (parser_.is_done()) return true;
    // Told to wait, the client may send the body or may not.
    if (expects_continue_ || broken_) return false;
    std::array<std::byte, 16384> dropped;
    for (uint64_t left = kUnreadBodyBytesMax; left > 0;) {
      const auto size = Read(dropped);
      if (!size) return false;
      if (*size == 0) return true;
      left -= std::min<uint64_t>(left, *size);
    }
    return false;
  }

 private:
  SocketStream& stream_;
  flat_buffer& buffer_;
  Parser& parser_;
  Statistics& statistics_;
  bool expects_continue_ = false;
  bool broken_ = false;
};

bool IsUnchanged(const FileBody& body) {
  const auto status = StatusOf(body.file);
  return status && FileStamp::Of(*status) == body.stamp;
}

// Makes one byte in the middle of an object's another.
void Spoil(OriginAnswer& answer) {
  if (!answer.file || answer.file->length == 0) return;
  std::string bytes(answer.file->length, '\0');
  const ssize_t got = pread(answer.file->file.get(), bytes.data(), bytes.size(),
                            static_cast<off_t>(answer.file->offset));
  if (got != static_cast<ssize_t>(bytes.size())) return;
  bytes[bytes.size() / 2] ^= 1;
  answer.body = std::move(bytes);
  answer.file.reset();
}

std::string NewRequestId() {
  std::array<char, 12> random;
  RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), random.size());
  std::string id = Hex({random.data(), random.size()});
  for (char& c : id)
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  return id;
}

// "bytes 0-9/20" to "bytes 1-10/20".
std::string Shifted(const std::string& content_range) {
  const size_t dash = content_range.find('-');
  const size_t slash = content_range.find('/');
  const uint64_t first = std::stoull(content_range.substr(6, dash - 6));
  const uint64_t last = std::stoull(content_range.substr(dash + 1, slash - dash - 1));
  return "bytes " + std::to_string(first + 1) + "-" + std::to_string(last + 1) +
         content_range.substr(slash);
}

timespec TimespecOf(Duration wait) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((wait - seconds).count())};
}

class Connection {
 public:
  Connection(const FileDescriptor& socket, bool is_local, const OriginParts& parts)
      : socket_(socket), is_local_(is_local), parts_(parts), stream_(socket.get()) {}

  void Serve() {
    while (!parts_.stop.raised() && ServeOne()) {
    }
    if (is_answered_) Part();
  }

 private:
  // One request and its answer. False ends the connection.
  bool ServeOne();
  // Reads on for a moment: closing with bytes unread would take the answer from the client.
  void Part();
  bool ServeParsed(const std::string& target, OriginRequest& request, SocketBody& body,
                   bool keep_alive);
  bool ServeOperation(Operation operation, const OriginRequest& request, SocketBody& body,
                      bool keep_alive);
  ServiceResult<OriginAnswer> Control(const OriginRequest& request, RequestBody& body);
  OriginAnswer AnswerTo(const OriginRequest& request, const ServiceError& error) const;
  // The answer a fault gives instead of the real one; nothing for faults that bend that.
  static std::optional<ServiceError> ErrorOf(const Fault& fault, Dialect dialect);
  static void Bend(const Fault& fault, Operation operation, OriginAnswer& answer);
  // Bytes of the body sent at most `body_bytes_max`; past it the connection is cut.
  bool Write(const OriginRequest& request, OriginAnswer answer, bool keep_alive,
             uint64_t body_bytes_max = UINT64_MAX);
  // Not to the end where the file was changed: its client shall not take a mixture for a version.
  bool SendFile(const FileBody& body, uint64_t length);
  bool SendText(std::string_view text);
  // How many of `wanted` bytes may go now, after waiting for the moment. 0: stopped.
  uint64_t Pace(uint64_t wanted);

  const FileDescriptor& socket_;
  const bool is_local_;
  const OriginParts& parts_;
  SocketStream stream_;
  flat_buffer buffer_;
  Pacer own_pacer_;
  std::string request_id_;
  bool is_answered_ = false;      // the last request that came, and wholly
  uint64_t body_bytes_sent_ = 0;  // of the answer now being written
};

void Connection::Part() {
  const Instant until = parts_.clock.Now() + kPartingTime;
  shutdown(socket_.get(), SHUT_WR);
  std::array<std::byte, 16384> dropped;
  for (Instant now = parts_.clock.Now(); now < until; now = parts_.clock.Now()) {
    if (!parts_.stop.WaitForNews(socket_, until - now)) return;
    if (recv(socket_.get(), dropped.data(), dropped.size(), 0) <= 0) return;
  }
}

bool Connection::ServeOne() {
  is_answered_ = false;
  Parser parser;
  parser.header_limit(kHeadBytesMax);
  parser.body_limit(boost::none);
  error_code ec;
  http::read_header(stream_, buffer_, parser, ec);
  OriginRequest request;
  request_id_ = NewRequestId();
  if (ec && ec.category() == http::make_error_code(http::error::bad_method).category() &&
      ec != http::error::end_of_stream && ec != http::error::partial_message) {
    request.encoded_path = "/";
    Write(request, AnswerTo(request, {400, "InvalidRequest", "The request is not HTTP."}), false);
    return false;
  }
  if (ec) return false;
  const auto& head = parser.get();
  request.method = head.method_string();
  for (const auto& field : head) {
    std::string name(field.name_string());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    const auto [at, is_new] = request.headers.emplace(std::move(name), field.value());
    if (!is_new) at->second.append(",").append(field.value());
  }
  auto [host, target] = SplitTarget(head.target(), request.Header("host"));
  host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  std::ranges::transform(host, host.begin(), [](unsigned char c) { return std::tolower(c); });
  request.host = std::move(host);
  request.dialect = DialectOf(request);
  SocketBody body(stream_, buffer_, parser, parts_.statistics);
  const bool keep_alive = head.keep_alive();
  return ServeParsed(target, request, body, keep_alive) && body.Drain();
}

bool Connection::ServeParsed(const std::string& target, OriginRequest& request, SocketBody& body,
                             bool keep_alive) {
  if (target.starts_with(kControlPath)) {
    request.encoded_path = target;
    auto answer = Control(request, body);
    if (!answer) answer = AnswerTo(request, answer.error());
    return Write(request, *std::move(answer), keep_alive) && keep_alive;
  }
  const ServiceResult<Operation> operation = [&]() -> ServiceResult<Operation> {
    ASSIGN_OR_RETURN(const std::vector<std::string> buckets, parts_.service.BucketNames());
    RETURN_IF_ERROR(ParseTarget(target, buckets, request));
    return OperationOf(request);
  }();
  if (!operation) {
    parts_.statistics.Refused(operation.error().code);
    return Write(request, AnswerTo(request, operation.error()), keep_alive) && keep_alive;
  }
  parts_.statistics.RequestStarted(*operation);
  body_bytes_sent_ = 0;
  const bool go_on = ServeOperation(*operation, request, body, keep_alive);
  parts_.statistics.RequestEnded(*operation, body_bytes_sent_);
  return go_on;
}

bool Connection::ServeOperation(Operation operation, const OriginRequest& request, SocketBody& body,
                                bool keep_alive) {
  if (const uint64_t latency_ms = parts_.trouble.latency_ms(); latency_ms > 0)
    if (parts_.stop.WaitFor(std::chrono::milliseconds(latency_ms))) return false;
  const std::optional<Fault> fault = parts_.trouble.Pick(operation, request.key);
  if (fault) {
    parts_.statistics.FaultInjected();
    if (fault->kind == FaultKind::kHang) {
      parts_.stop.WaitForHangUp(socket_);
      return false;
    }
    if (fault->kind == FaultKind::kReset) {
      const linger at_once{1, 0};
      setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
      return false;
    }
    if (const auto error = ErrorOf(*fault, request.dialect)) {
      OriginAnswer answer = AnswerTo(request, *error);
      if (fault->kind == FaultKind::kStatus429)
        answer.headers.emplace_back("Retry-After", std::to_string(fault->retry_after_seconds));
      return Write(request, std::move(answer), keep_alive) && keep_alive;
    }
  }
  ServiceResult<OriginAnswer> answer;
  if (const auto allowed = parts_.authenticator.Check(request, operation); !allowed) {
    answer = Refuse(allowed.error());
  } else {
    CheckedBody checked(body, request);
    answer = parts_.service.Handle(operation, request, checked);
  }
  if (!answer) {
    parts_.statistics.Refused(answer.error().code);
    log::Debug("{} {}/{}: {} {}", NameOf(operation).name, log::Printable(request.bucket),
               log::Printable(request.key), answer.error().status, answer.error().code);
    return Write(request, AnswerTo(request, answer.error()), keep_alive) && keep_alive;
  }
  if (fault) Bend(*fault, operation, *answer);
  const bool cut = fault && fault->kind == FaultKind::kCutAfterBytes;
  return Write(request, *std::move(answer), keep_alive, cut ? fault->bytes : UINT64_MAX) &&
         keep_alive;
}

ServiceResult<OriginAnswer> Connection::Control(const OriginRequest& request, RequestBody& body) {
  if (!is_local_)
    return Refuse({403, "AccessDenied", "The control path answers on this host only."});
  const std::string what = request.encoded_path.substr(kControlPath.size());
  OriginAnswer answer{200, {{"Content-Type", "application/json"}}};
  if (what == "stats" && request.method == "GET") {
    answer.body = parts_.statistics.Print();
  } else if (what == "stats/reset" && (request.method == "POST" || request.method == "PUT")) {
    parts_.statistics.Reset();
    answer.body = parts_.statistics.Print();
  } else if (what == "config" && (request.method == "POST" || request.method == "PUT")) {
    ASSIGN_OR_RETURN(const std::string text, ReadAll(body, kControlBodyBytesMax));
    if (const auto applied = parts_.trouble.Apply(text); !applied)
      return Refuse(InvalidArgument(applied.error().detail));
    answer.body = parts_.trouble.Print();
  } else if (what == "config" && request.method == "GET") {
    answer.body = parts_.trouble.Print();
  } else {
    return Refuse({404, "NoSuchControl", "There are config, stats and stats/reset."});
  }
  return answer;
}

OriginAnswer Connection::AnswerTo(const OriginRequest& request, const ServiceError& error) const {
  OriginAnswer answer = XmlAnswer(ErrorDocument(request, error, request_id_));
  answer.status = error.status;
  if (request.dialect == Dialect::kOss) {
    if (!error.ec.empty()) answer.headers.emplace_back("x-oss-ec", error.ec);
    // The answer to a HEAD has no body to say why.
    if (request.method == "HEAD") answer.headers.emplace_back("x-oss-err", Base64(answer.body));
  }
  return answer;
}

std::optional<ServiceError> Connection::ErrorOf(const Fault& fault, Dialect dialect) {
  switch (fault.kind) {
    case FaultKind::kStatus503:
      return ServiceError{503, dialect == Dialect::kOss ? "ServiceUnavailable" : "SlowDown",
                          "Please reduce your request rate."};
    case FaultKind::kStatus429:
      return ServiceError{429, "TooManyRequests", "Please reduce your request rate."};
    case FaultKind::kStatus500:
      return ServiceError{500, "InternalError",
                          "We encountered an internal error. Please try again."};
    default:
      return std::nullopt;
  }
}

void Connection::Bend(const Fault& fault, Operation operation, OriginAnswer& answer) {
  for (auto& [name, value] : answer.headers) {
    if (fault.kind == FaultKind::kWrongEtag && name == "ETag") value = kWrongEtag;
    if (fault.kind == FaultKind::kWrongContentRange && name == "Content-Range")
      value = Shifted(value);
  }
  if (fault.kind == FaultKind::kWrongBytes && operation == Operation::kGet) Spoil(answer);
  // As a proxy that gave up in the middle would leave it: with a length that is right.
  if (fault.kind == FaultKind::kMangledList && operation == Operation::kList)
    answer.body.resize(answer.body.size() / 2);
}

bool Connection::Write(const OriginRequest& request, OriginAnswer answer, bool keep_alive,
                       uint64_t body_bytes_max) {
  const bool is_head = request.method == "HEAD";
  const bool has_body = !is_head && answer.status != 204 && answer.status != 304;
  const uint64_t length = answer.file ? answer.file->length : answer.body.size();
  http::response<http::empty_body> head;
  head.version(11);
  head.result(static_cast<unsigned>(answer.status));
  head.keep_alive(keep_alive);
  head.set(http::field::server, request.dialect == Dialect::kOss ? "AliyunOSS" : "AmazonS3");
  head.set(http::field::date, HttpDate(parts_.clock.UnixSeconds()));
  head.set(std::string(VendorPrefix(request.dialect)) + "request-id", request_id_);
  for (const auto& [name, value] : answer.headers) head.set(name, value);
  if (answer.status == 204 || answer.status == 304 || (is_head && answer.status >= 400)) {
    if (answer.status != 204 && answer.status != 304) head.content_length(0);
  } else {
    head.content_length(length);
  }
  http::response_serializer<http::empty_body> serializer(head);
  const uint64_t wanted = has_body ? std::min(length, body_bytes_max) : 0;
  error_code ec;
  stream_.set_more(wanted > 0);
  http::write_header(stream_, serializer, ec);
  if (ec) return false;
  const bool sent =
      wanted == 0 || (answer.file ? SendFile(*answer.file, wanted)
                                  : SendText(std::string_view(answer.body).substr(0, wanted)));
  is_answered_ = sent && (!has_body || wanted == length);
  return is_answered_;
}

uint64_t Connection::Pace(uint64_t wanted) {
  const Trouble::Rates rates = parts_.trouble.rates();
  if (rates.total == 0 && rates.per_connection == 0) return std::min(wanted, kUnpacedPieceBytesMax);
  uint64_t slowest = rates.total == 0 ? rates.per_connection : rates.total;
  if (rates.per_connection != 0) slowest = std::min(slowest, rates.per_connection);
  const uint64_t piece = std::min(wanted, std::clamp(slowest / kPacedPiecesPerSecond,
                                                     kPacedPieceBytesMin, kPacedPieceBytesMax));
  const Instant now = parts_.clock.Now();
  Instant at = now;
  if (rates.total != 0)
    at = std::max(at, parts_.trouble.total_pacer().Reserve(now, piece, rates.total));
  if (rates.per_connection != 0)
    at = std::max(at, own_pacer_.Reserve(now, piece, rates.per_connection));
  if (at > now && parts_.stop.WaitFor(at - now)) return 0;
  return piece;
}

bool Connection::SendFile(const FileBody& body, uint64_t length) {
  auto offset = static_cast<off_t>(body.offset);
  const uint64_t held_back = std::min(length, kHeldBackBytesMax);
  length -= held_back;
  while (length > 0) {
    uint64_t piece = Pace(length);
    if (piece == 0) return false;
    while (piece > 0) {
      const ssize_t sent = sendfile(socket_.get(), body.file.get(), &offset, piece);
      if (sent < 0 && errno == EINTR) continue;
      // 0: the file became shorter. The client sees a body that is cut, and not another one.
      if (sent <= 0) return false;
      piece -= static_cast<uint64_t>(sent);
      length -= static_cast<uint64_t>(sent);
      body_bytes_sent_ += static_cast<uint64_t>(sent);
    }
    if (!IsUnchanged(body)) return false;
  }
  // Read before the comparison and sent after it. What sendfile(2) has queued may still change, for
  // it is the file's own pages, where a file is overwritten without having been emptied.
  std::array<char, kHeldBackBytesMax> end;
  const ssize_t got = pread(body.file.get(), end.data(), held_back, offset);
  if (got != static_cast<ssize_t>(held_back) || !IsUnchanged(body)) return false;
  return SendText({end.data(), held_back});
}

bool Connection::SendText(std::string_view text) {
  stream_.set_more(false);
  while (!text.empty()) {
    const uint64_t piece = Pace(text.size());
    if (piece == 0) return false;
    error_code ec;
    boost::asio::const_buffer bytes(text.data(), piece);
    const size_t sent = stream_.write_some(bytes, ec);
    if (ec) return false;
    body_bytes_sent_ += sent;
    text.remove_prefix(sent);
  }
  return true;
}

}  // namespace

StopSignal::StopSignal() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void StopSignal::Raise() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = write(event_.get(), &one, sizeof(one));
}

bool StopSignal::raised() const {
  return WaitFor(Duration::zero());
}

bool StopSignal::WaitFor(Duration wait) const {
  const timespec limit = TimespecOf(wait);
  pollfd event{event_.get(), POLLIN, 0};
  return ppoll(&event, 1, &limit, nullptr) > 0;
}

bool StopSignal::WaitForNews(const FileDescriptor& socket, Duration wait) const {
  const timespec limit = TimespecOf(wait);
  std::array<pollfd, 2> events = {{{event_.get(), POLLIN, 0}, {socket.get(), POLLIN, 0}}};
  return ppoll(events.data(), events.size(), &limit, nullptr) > 0 && events[0].revents == 0;
}

void StopSignal::WaitForHangUp(const FileDescriptor& socket) const {
  std::array<pollfd, 2> events = {{{event_.get(), POLLIN, 0}, {socket.get(), POLLRDHUP, 0}}};
  while (poll(events.data(), events.size(), -1) < 0 && errno == EINTR) {
  }
}

void ServeConnection(const FileDescriptor& socket, bool is_local, const OriginParts& parts) {
  // sendfile(2) to a closed socket raises SIGPIPE, and has no flag against it.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  Connection(socket, is_local, parts).Serve();
}

}  // namespace shoal::embedded
