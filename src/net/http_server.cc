#include "net/http_server.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include "net/http_connection.h"
#include "net/http_stream.h"

namespace shoal {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr Duration kTickInterval = std::chrono::milliseconds(200);
// Short of descriptors: asking again at once would only burn time.
constexpr Duration kAcceptPause = std::chrono::milliseconds(200);
constexpr Duration kIdleBeforeMakingRoom = std::chrono::seconds(1);
constexpr Duration kSlowBeforeMakingRoom = std::chrono::seconds(10);
constexpr int kSendBufferBytes = 64 << 10;
constexpr int kUnreadPiecesMax = 16;

auto FileFault(const std::string& file, const error_code& fault) {
  return Fail(Errc::kInvalid, file + ": " + fault.message());
}

Result<std::unique_ptr<asio::ssl::context>> OpenTls(const HttpServerOptions& options) {
  if (options.certificate_file.empty() && options.key_file.empty()) {
    if (options.client_ca_file.empty()) return nullptr;
    return Fail(Errc::kInvalid, options.client_ca_file +
                                    ": clients' certificates need the "
                                    "server's own and its key");
  }
  if (options.certificate_file.empty() || options.key_file.empty())
    return Fail(Errc::kInvalid, options.certificate_file + options.key_file +
                                    ": a certificate and its key go together");
  auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  error_code fault;
  tls->use_certificate_chain_file(options.certificate_file, fault);
  if (fault) return FileFault(options.certificate_file, fault);
  tls->use_private_key_file(options.key_file, asio::ssl::context::pem, fault);
  if (fault) return FileFault(options.key_file, fault);
  if (options.client_ca_file.empty()) return tls;
  tls->load_verify_file(options.client_ca_file, fault);
  if (fault) return FileFault(options.client_ca_file, fault);
  tls->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert, fault);
  // OpenSSL resumes no session of verified clients without it.
  constexpr std::string_view kSessions = "shoal";
  SSL_CTX_set_session_id_context(tls->native_handle(),
                                 reinterpret_cast<const unsigned char*>(kSessions.data()),
                                 kSessions.size());
  return tls;
}

}  // namespace

struct HttpServer::State {
  State(const HttpServerOptions& given, HttpHandler handle, const Clock& time)
      : options(given),
        handler(std::move(handle)),
        clock(time),
        parts{options, handler, clock, io, *handlers, connections},
        acceptor(io),
        ticks(io) {}

  Result<> Listen();
  void Run();
  void Accept();
  void Accepted(tcp::socket socket);
  // With what can be said at once.
  void RefuseInPassing(tcp::socket socket);
  // False if all places are in use by connections that are at work.
  bool MakeRoom();
  void Tick();
  void Stop();

  const HttpServerOptions options;
  const HttpHandler handler;
  const Clock& clock;
  std::unique_ptr<ThreadPool> handlers =
      std::make_unique<ThreadPool>("admin", options.handler_count_max);
  std::set<std::shared_ptr<HttpConnection>> connections;
  HttpServerParts parts;
  std::unique_ptr<asio::ssl::context> tls;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> running = asio::make_work_guard(io);
  uint16_t port = 0;  // constant once it listens
  tcp::acceptor acceptor;
  asio::steady_timer ticks;
  bool is_ticking = false;
  bool is_stopping = false;
  std::thread thread;  // all of the above but `handlers` is its own
};

Result<> HttpServer::State::Listen() {
  error_code fault;
  const auto address = asio::ip::make_address(options.address, fault);
  if (fault) return Fail(Errc::kInvalid, options.address + ": not an IPv4 or IPv6 address");
  const tcp::endpoint end(address, options.port);
  acceptor.open(end.protocol(), fault);
  if (!fault) fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  if (!fault) acceptor.set_option(tcp::acceptor::reuse_address(true), fault);
  if (!fault) acceptor.bind(end, fault);
  if (!fault) acceptor.listen(1024, fault);
  if (!fault) port = acceptor.local_endpoint(fault).port();
  if (!fault) return {};
  const Errc code = fault == asio::error::address_in_use  ? Errc::kBusy
                    : fault == asio::error::access_denied ? Errc::kDenied
                                                          : Errc::kInvalid;
  const bool v6 = address.is_v6();
  return Fail(code, (v6 ? "[" : "") + options.address + (v6 ? "]:" : ":") +
                        std::to_string(options.port) + ": " + fault.message());
}

void HttpServer::State::Run() {
  pthread_setname_np(pthread_self(), "admin-io");
  Accept();
  io.run();
}

void HttpServer::State::Accept() {
  acceptor.async_accept([this](error_code fault, tcp::socket socket) {
    if (is_stopping) return;
    if (!fault) {
      Accepted(std::move(socket));
      return Accept();
    }
    auto pause = std::make_shared<asio::steady_timer>(io, kAcceptPause);
    pause->async_wait([this, pause](error_code) {
      if (!is_stopping) Accept();
    });
  });
}

void HttpServer::State::Accepted(tcp::socket socket) {
  fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const bool has_room = MakeRoom();
  // What the kernel takes of an answer is not counted as held: it takes megabytes, if let.
  socket.set_option(tcp::socket::send_buffer_size(kSendBufferBytes), ignored);
  // Over TLS an answer costs a handshake, and one that is waited for costs a place.
  if (!has_room && tls) return;
  if (!has_room && connections.size() >= 2 * options.connection_count_max)
    return RefuseInPassing(std::move(socket));
  auto connection =
      std::make_shared<HttpConnection>(MakeHttpStream(std::move(socket), tls.get()), parts);
  connections.insert(connection);
  if (has_room) {
    connection->Serve();
  } else {
    connection->RefuseAsTooMany();
  }
  Tick();
}

void HttpServer::State::RefuseInPassing(tcp::socket socket) {
  const std::string text =
      HttpConnection::RefusalText(parts, 503, HttpConnection::kTooManyConnections);
  error_code fault;
  socket.non_blocking(true, fault);
  socket.write_some(asio::buffer(text), fault);
  socket.shutdown(tcp::socket::shutdown_send, fault);
  // Closing with bytes unread would take the answer from the client.
  std::array<char, 4096> unread;
  for (int i = 0; i < kUnreadPiecesMax && !fault; ++i)
    socket.read_some(asio::buffer(unread), fault);
}

bool HttpServer::State::MakeRoom() {
  size_t count = 0;
  std::shared_ptr<HttpConnection> idlest;
  std::shared_ptr<HttpConnection> slowest;
  std::shared_ptr<HttpConnection> leaving;
  for (const auto& connection : connections) {
    if (connection->is_leaving()) {
      leaving = connection;
      continue;
    }
    ++count;
    if (connection->idle_since() && (!idlest || *connection->idle_since() < *idlest->idle_since()))
      idlest = connection;
    if (connection->slow_since() &&
        (!slowest || *connection->slow_since() < *slowest->slow_since()))
      slowest = connection;
  }
  if (count >= options.connection_count_max) {
    const Instant now = clock.Now();
    if (idlest && now - *idlest->idle_since() >= kIdleBeforeMakingRoom)
      idlest->Close();
    else if (slowest && now - *slowest->slow_since() >= kSlowBeforeMakingRoom)
      slowest->GiveWay();
    else
      return false;
  }
  // Those that leave are as many again at most.
  if (connections.size() >= 2 * options.connection_count_max && leaving) leaving->Close();
  return true;
}

void HttpServer::State::Tick() {
  if (is_ticking || connections.empty()) return;
  is_ticking = true;
  ticks.expires_after(kTickInterval);
  ticks.async_wait([this](error_code) {
    is_ticking = false;
    if (is_stopping) return;
    const Instant now = clock.Now();
    // A copy: those whose time is over leave the set.
    for (const auto& connection :
         std::vector<std::shared_ptr<HttpConnection>>(connections.begin(), connections.end()))
      connection->Tick(now);
    Tick();
  });
}

void HttpServer::State::Stop() {
  std::latch stopped(1);
  asio::post(io, [this, &stopped] {
    is_stopping = true;
    error_code ignored;
    acceptor.close(ignored);
    ticks.cancel();
    for (const auto& connection :
         std::vector<std::shared_ptr<HttpConnection>>(connections.begin(), connections.end()))
      connection->Close();
    stopped.count_down();
  });
  stopped.wait();    // from here on nothing is handed to them
  handlers.reset();  // waits; what they answer is dropped
  running.reset();
  thread.join();
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                      HttpHandler handler, const Clock& clock) {
  auto state = std::make_unique<State>(options, std::move(handler), clock);
  ASSIGN_OR_RETURN(state->tls, OpenTls(options));
  RETURN_IF_ERROR(state->Listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
}

// Asio may be short of memory for the message that stops it: then the process ends.
HttpServer::~HttpServer() {  // NOLINT(bugprone-exception-escape): see above
  state_->Stop();
}

uint16_t HttpServer::port() const {
  return state_->port;
}

}  // namespace shoal
