#include "net/client_connection.h"

#include <openssl/x509_vfy.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/bytes.h"
#include "base/log.h"

namespace shoal {
namespace {

// Servers and what lies between end connections that are idle, and not all of them say so.
constexpr Duration kIdleMax = std::chrono::seconds(100);
// The most that libcurl's option takes.
constexpr long kReceiveBytesMax = 512 * kKiB;
// The longest that one waits without looking whether it is to stop.
constexpr Duration kWaitMax = std::chrono::milliseconds(500);

long Milliseconds(Duration wait) {
  return static_cast<long>(
      std::max<int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(wait).count()));
}

// What answers does not speak TLS, and will not the next time.
bool IsNoTls(CURLcode code, std::string_view reason) {
  return code == CURLE_SSL_CONNECT_ERROR &&
         (reason.find("wrong version number") != std::string_view::npos ||
          reason.find("packet length too long") != std::string_view::npos);
}

Errc CodeOf(CURLcode code, std::string_view reason) {
  if (IsNoTls(code, reason)) return Errc::kUnusable;
  switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
      return Errc::kInterrupted;
    case CURLE_OPERATION_TIMEDOUT:
      return Errc::kTimedOut;
    // Nobody refused us, and asking again will not help.
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_URL_MALFORMAT:
      return Errc::kUnusable;
    default:
      return Errc::kUnreachable;
  }
}

// What the one who set the mount up can do about it, where libcurl's words do not say; or nothing.
std::string HintOf(CURL* handle, CURLcode code, std::string_view reason) {
  if (code == CURLE_PEER_FAILED_VERIFICATION) {
    long verified = X509_V_OK;
    curl_easy_getinfo(handle, CURLINFO_SSL_VERIFYRESULT, &verified);
    if (verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
        verified == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
        verified == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN)
      return "; ca_file names the authorities to trust";
  }
  if (IsNoTls(code, reason)) return "; if plain HTTP is spoken there, write endpoint=http://...";
  return {};
}

// libcurl names a proxy as it would the endpoint, and who reads that does not know the address.
std::string HintOf(const Proxy& proxy, const std::string& origin, std::string_view reason) {
  const bool is_named =
      !proxy.place.empty() && reason.find(" " + proxy.place) != std::string_view::npos;
  return is_named && PlaceOf(origin) != proxy.place
             ? fmt::format("; that is the proxy of {}", proxy.variable)
             : "";
}

// A proxy that will not let us through says so to CONNECT. That is not asked again.
std::optional<Error> RefusalOf(const Proxy& proxy, CURL* handle) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_HTTP_CONNECTCODE, &status);
  if (status < 400 || status >= 500 || status == 408 || status == 429) return std::nullopt;
  const char* const what =
      status == 407 ? "asks for a user name and a password: http://USER:PASSWORD@HOST:PORT"
                    : "refuses to connect us; no_proxy names hosts to reach without it";
  return Error{Errc::kUnusable, fmt::format("HTTP {} of the proxy of {}, {}, which {}", status,
                                            proxy.variable, proxy.place, what)};
}

// libcurl calls this about once a second while it connects, and more often else; an answer other
// than 0 ends that.
int OnProgress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::stop_token*>(stop)->stop_requested() ? 1 : 0;
}

}  // namespace

void ClientConnection::SetOptions(CURL* handle, const std::string& origin, Duration remaining) {
  curl_easy_setopt(handle, CURLOPT_SHARE, shared_);
  curl_easy_setopt(handle, CURLOPT_URL, origin.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(handle, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(options_.connect_timeout));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                   remaining == Duration::max() ? 0L : Milliseconds(remaining));
  const bool verify = options_.verify_certificate && options_.public_key_pin.empty();
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  if (!options_.public_key_pin.empty())
    curl_easy_setopt(handle, CURLOPT_PINNEDPUBLICKEY, options_.public_key_pin.c_str());
  if (!options_.client_certificate_file.empty())
    curl_easy_setopt(handle, CURLOPT_SSLCERT, options_.client_certificate_file.c_str());
  if (!options_.client_key_file.empty())
    curl_easy_setopt(handle, CURLOPT_SSLKEY, options_.client_key_file.c_str());
  if (!options_.ca_file.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_file.c_str());
    // Debian's libcurl has a directory of the system's authorities as well.
    curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
  }
  // Chosen here and not by libcurl, which does not tell what it chose.
  curl_easy_setopt(handle, CURLOPT_PROXY, proxy_.url.c_str());
  curl_easy_setopt(handle, CURLOPT_NOPROXY, "");
  // A thread that asks for a name cannot be ended. A call that gives up leaves it to itself
  // rather than waiting for a resolver that is silent, which may take half a minute.
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &options_.stop);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason_.data());
}

Result<> ClientConnection::Open(const std::string& origin, Deadline deadline) {
  Close();
  const Duration remaining = deadline.Remaining(clock_);
  if (remaining == Duration::zero()) return Fail(Errc::kTimedOut, "the deadline passed");
  std::unique_ptr<CURL, Cleanup> handle(curl_easy_init());
  if (handle == nullptr) return Fail(Errc::kUnreachable, "no memory for a connection");
  proxy_ = {};
  if (options_.use_proxy) {
    ASSIGN_OR_RETURN(proxy_, ProxyOf(origin));
  }
  reason_[0] = '\0';
  SetOptions(handle.get(), origin, remaining);
  const CURLcode code = curl_easy_perform(handle.get());
  if (code != CURLE_OK) return tl::unexpected(WhyNotOpen(handle.get(), code, origin));
  curl_easy_getinfo(handle.get(), CURLINFO_ACTIVESOCKET, &socket_);
  // What is received at once, and no buffer of libcurl's any more.
  curl_easy_setopt(handle.get(), CURLOPT_BUFFERSIZE, kReceiveBytesMax);
  reason_[0] = '\0';  // of an address that it tried before, maybe
  handle_ = std::move(handle);
  origin_ = origin;
  used_at_ = clock_.Now();
  early_byte_.reset();
  cut_short_ = false;
  return {};
}

Error ClientConnection::WhyNotOpen(CURL* handle, CURLcode code, const std::string& origin) const {
  if (code == CURLE_ABORTED_BY_CALLBACK) return {Errc::kInterrupted, "stopping"};
  if (auto refused = RefusalOf(proxy_, handle)) return *std::move(refused);
  const std::string_view said = reason_[0] != '\0' ? reason_.data() : curl_easy_strerror(code);
  std::string hint = HintOf(handle, code, said);
  if (hint.empty()) hint = HintOf(proxy_, origin, said);
  return {CodeOf(code, said), log::Printable(said) + hint};
}

bool ClientConnection::IsAtRest(const std::string& origin) {
  return handle_ != nullptr && origin_ == origin && !cut_short_ &&
         clock_.Now() - used_at_ <= kIdleMax && !HasInput();
}

// The socket alone does not tell: TLS may have taken from it what nobody asked for yet, and what is
// there may be for TLS itself.
bool ClientConnection::HasInput() {
  std::byte byte{};
  size_t count = 0;
  const CURLcode code = curl_easy_recv(handle_.get(), &byte, 1, &count);
  if (code == CURLE_OK && count == 1) early_byte_ = byte;
  return code != CURLE_AGAIN;
}

Result<> ClientConnection::Send(std::string_view bytes, Deadline deadline) {
  Instant stalled_at = clock_.Now() + options_.stall_timeout;
  while (!bytes.empty()) {
    RETURN_IF_ERROR(MayGoOn(deadline));
    size_t count = 0;
    const CURLcode code = curl_easy_send(handle_.get(), bytes.data(), bytes.size(), &count);
    if (code == CURLE_OK) {
      bytes.remove_prefix(count);
      stalled_at = clock_.Now() + options_.stall_timeout;
      continue;
    }
    // A request may be refused before it is whole, and nobody takes the rest.
    cut_short_ = HasInput();
    if (early_byte_) return {};
    if (code != CURLE_AGAIN) return tl::unexpected(Broken(code));
    if (cut_short_) return tl::unexpected(Broken(CURLE_SEND_ERROR));
    RETURN_IF_ERROR(Await(POLLOUT | POLLIN, deadline, stalled_at));
  }
  return {};
}

Result<size_t> ClientConnection::Receive(std::span<std::byte> room, Deadline deadline) {
  if (early_byte_) {
    room[0] = *early_byte_;
    early_byte_.reset();
    return 1;
  }
  std::optional<Instant> stalled_at;
  while (true) {
    RETURN_IF_ERROR(MayGoOn(deadline));
    size_t count = 0;
    const CURLcode code = curl_easy_recv(handle_.get(), room.data(), room.size(), &count);
    if (code == CURLE_OK) {
      used_at_ = clock_.Now();
      return count;
    }
    if (code != CURLE_AGAIN) return tl::unexpected(Broken(code));
    if (!stalled_at) stalled_at = clock_.Now() + options_.stall_timeout;
    RETURN_IF_ERROR(Await(POLLIN, deadline, *stalled_at));
  }
}

Result<> ClientConnection::MayGoOn(Deadline deadline) const {
  if (options_.stop.stop_requested()) return Fail(Errc::kInterrupted, "stopping");
  if (deadline.Passed(clock_)) return Fail(Errc::kTimedOut, "the deadline passed");
  return {};
}

Result<> ClientConnection::Await(short events, Deadline deadline, Instant stalled_at) const {
  const Instant now = clock_.Now();
  if (now >= stalled_at)
    return Fail(Errc::kTimedOut,
                fmt::format("not a byte in {} s",
                            std::chrono::duration<double>(options_.stall_timeout).count()));
  pollfd waiting{.fd = socket_, .events = events, .revents = 0};
  const Duration wait = std::min({deadline.Remaining(clock_), stalled_at - now, kWaitMax});
  poll(&waiting, 1, static_cast<int>(Milliseconds(wait)));
  return {};
}

Error ClientConnection::Broken(CURLcode code) const {
  return {CodeOf(code, reason_.data()),
          log::Printable(reason_[0] != '\0' ? reason_.data() : curl_easy_strerror(code))};
}

}  // namespace shoal
