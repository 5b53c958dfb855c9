#include "testing/origin_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/thread_pool.h"
#include "testing/origin_connection.h"

namespace shoal {

namespace {

constexpr int kBacklog = 1024;
constexpr int kSendBufferBytes = 4 << 20;
constexpr timeval kIdleLimit{75, 0};
// Accepting fails while descriptors are short; asking again at once would only burn time.
constexpr Duration kAcceptPause = std::chrono::milliseconds(50);

void SetNumber(const FileDescriptor& socket, int level, int option, int value) {
  setsockopt(socket.get(), level, option, &value, sizeof(value));
}

Result<FileDescriptor> Listen(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos)
    return Fail(Errc::kInvalid, "not ADDRESS:PORT: '" + address + "'");
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int failure =
          getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
      failure != 0)
    return Fail(Errc::kInvalid, address + ": " + gai_strerror(failure));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  FileDescriptor socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SetNumber(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (socket.get() < 0 || bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      listen(socket.get(), kBacklog) != 0)
    return Fail(errno == EADDRINUSE ? Errc::kBusy : Errc::kInvalid,
                embedded::ErrorFromErrno(errno, address).detail);
  return socket;
}

// Numeric host and port of a socket's own, or the other, end.
std::pair<std::string, std::string> NameOfEnd(const FileDescriptor& socket, bool own) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if ((own ? getsockname : getpeername)(socket.get(), generic, &size) != 0) return {};
  std::array<char, NI_MAXHOST> host = {};
  std::array<char, NI_MAXSERV> port = {};
  getnameinfo(generic, size, host.data(), host.size(), port.data(), port.size(),
              NI_NUMERICHOST | NI_NUMERICSERV);
  return {host.data(), port.data()};
}

bool IsLocal(const std::string& host) {
  return host.starts_with("127.") || host == "::1" || host.starts_with("::ffff:127.");
}

}  // namespace

struct OriginServer::State {
  State(embedded::FilesBelow root, std::unique_ptr<embedded::Authenticator> checks,
        FileDescriptor socket, const Clock& clock, uint64_t connections_max)
      : service(std::move(root)),
        authenticator(std::move(checks)),
        listening(std::move(socket)),
        connection_count_max(connections_max),
        parts{service, *authenticator, trouble, statistics, clock, stop},
        threads("origin", connections_max) {}

  void AcceptLoop();
  void Serve(FileDescriptor socket);

  embedded::OriginService service;
  std::unique_ptr<embedded::Authenticator> authenticator;
  embedded::Trouble trouble;
  embedded::Statistics statistics;
  embedded::StopSignal stop;
  FileDescriptor listening;
  const uint64_t connection_count_max;
  const embedded::OriginParts parts;
  Mutex mutex;
  std::set<int> connections GUARDED_BY(mutex);
  ThreadPool threads;  // ends before what its work uses
  std::thread acceptor;
};

void OriginServer::State::AcceptLoop() {
  while (!stop.raised()) {
    FileDescriptor socket(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.get() < 0) {
      if (errno == EMFILE || errno == ENFILE) static_cast<void>(stop.WaitFor(kAcceptPause));
      continue;
    }
    SetNumber(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    // Where BBR is the system's default, its pacing by timers halves the rate of a loopback.
    setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, "cubic", std::strlen("cubic"));
    SetNumber(socket, SOL_SOCKET, SO_SNDBUF, kSendBufferBytes);
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kIdleLimit, sizeof(kIdleLimit));
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kIdleLimit, sizeof(kIdleLimit));
    bool too_many = false;
    {
      const MutexLock lock(mutex);
      too_many = connections.size() >= connection_count_max;
      if (!too_many) connections.insert(socket.get());
    }
    if (too_many) {
      constexpr std::string_view kRefusal =
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      send(socket.get(), kRefusal.data(), kRefusal.size(), MSG_NOSIGNAL);
      continue;
    }
    auto shared = std::make_shared<FileDescriptor>(std::move(socket));
    threads.Run([this, shared] { Serve(std::move(*shared)); });
  }
}

void OriginServer::State::Serve(FileDescriptor socket) {
  statistics.ConnectionOpened();
  embedded::ServeConnection(socket, IsLocal(NameOfEnd(socket, false).first), parts);
  statistics.ConnectionClosed();
  // Before the descriptor closes, and its number names another connection.
  const MutexLock lock(mutex);
  connections.erase(socket.get());
}

OriginServer::OriginServer(std::unique_ptr<State> state) : state_(std::move(state)) {
  state_->acceptor = std::thread([state = state_.get()] { state->AcceptLoop(); });
}

OriginServer::~OriginServer() {
  state_->stop.Raise();
  shutdown(state_->listening.get(), SHUT_RDWR);
  state_->acceptor.join();
  const MutexLock lock(state_->mutex);
  for (const int connection : state_->connections) shutdown(connection, SHUT_RDWR);
}

Result<std::unique_ptr<OriginServer>> OriginServer::Start(const OriginServerOptions& options,
                                                          const Clock& clock) {
  ASSIGN_OR_RETURN(embedded::FilesBelow root, embedded::FilesBelow::Open(options.root));
  ASSIGN_OR_RETURN(auto authenticator,
                   embedded::Authenticator::Open(options.credentials_file, clock));
  ASSIGN_OR_RETURN(FileDescriptor listening, Listen(options.listen));
  auto state = std::make_unique<State>(std::move(root), std::move(authenticator),
                                       std::move(listening), clock, options.connection_count_max);
  for (const std::string& bucket : options.buckets)
    if (const auto made = state->service.CreateBucket(bucket); !made)
      return Fail(Errc::kInvalid, "bucket '" + bucket + "': " + made.error().message);
  if (!options.trouble.empty()) RETURN_IF_ERROR(state->trouble.Apply(options.trouble));
  return std::unique_ptr<OriginServer>(new OriginServer(std::move(state)));
}

uint16_t OriginServer::port() const {
  return static_cast<uint16_t>(std::stoul(NameOfEnd(state_->listening, true).second));
}

std::string OriginServer::url() const {
  const auto [host, port] = NameOfEnd(state_->listening, true);
  return "http://" + (host.find(':') == host.npos ? host : "[" + host + "]") + ":" + port;
}

Result<> OriginServer::SetTrouble(std::string_view json) {
  return state_->trouble.Apply(json);
}

uint64_t OriginServer::RequestCount(embedded::Operation operation) const {
  return state_->statistics.Requests(operation);
}

std::string OriginServer::Statistics() const {
  return state_->statistics.Print();
}

void OriginServer::ResetStatistics() {
  state_->statistics.Reset();
}

}  // namespace shoal
