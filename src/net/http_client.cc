#include "net/http_client.h"

#include <openssl/x509_vfy.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "net/curl_handles.h"

namespace shoal {
namespace {

// What one recv() may bring. Larger saves system calls; an idle connection keeps it.
constexpr long kReceiveBufferBytes = 256 * kKiB;
constexpr size_t kHeadBytesMax = 64 * kKiB;

bool HasControlByte(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// The headers of a request as libcurl takes them. A list of its own making would be two pieces
// of memory for each.
class HeaderLines {
 public:
  static Result<HeaderLines> Of(const HttpRequest& request) {
    HeaderLines lines;
    lines.lines_.reserve(request.headers.size());
    for (const auto& [name, value] : request.headers) {
      if (HasControlByte(name) || HasControlByte(value))
        return Fail(Errc::kUnusable, "a control byte in header '" + log::Printable(name) + "'");
      // libcurl takes "name:" for "do not send it", and "name;" for an empty one.
      lines.lines_.push_back(value.empty() ? name + ";" : name + ": " + value);
    }
    lines.list_.resize(lines.lines_.size());
    for (size_t i = 0; i < lines.list_.size(); ++i)
      lines.list_[i] = {.data = lines.lines_[i].data(),
                        .next = i + 1 < lines.list_.size() ? &lines.list_[i + 1] : nullptr};
    return lines;
  }
  // Valid while this lives.
  curl_slist* list() { return list_.empty() ? nullptr : list_.data(); }

 private:
  std::vector<std::string> lines_;
  std::vector<curl_slist> list_;
};

// Feeds one answer to a receiver.
class Answer {
 public:
  explicit Answer(HttpReceiver& receiver) : receiver_(receiver) {}

  // libcurl calls these with a whole header line, and with a piece of the body. An answer
  // other than `count` ends the transfer.
  static size_t OnHeader(char* data, size_t, size_t count, void* self) {
    return static_cast<Answer*>(self)->Header({data, count}) ? count : count + 1;
  }
  static size_t OnBody(char* data, size_t, size_t count, void* self) {
    return static_cast<Answer*>(self)->Body({data, count}) ? count : count + 1;
  }

  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] bool head_too_long() const { return head_bytes_ > kHeadBytesMax; }
  [[nodiscard]] bool has_head() const { return begun_; }

 private:
  bool Header(std::string_view line) {
    if (begun_) return true;  // a trailer
    head_bytes_ += line.size();
    if (head_too_long()) return false;
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) return EndHead();
    if (line.starts_with("HTTP/")) {
      head_ = {};
      const size_t space = line.find(' ');
      if (space != std::string_view::npos)
        std::from_chars(line.data() + space + 1, line.data() + line.size(), head_.status);
      return true;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return true;
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c;
    });
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    head_.headers.insert_or_assign(std::move(name), std::string(value));
    return true;
  }

  bool EndHead() {
    if (head_.status < 200) return true;  // "100 Continue": the answer is still to come
    begun_ = true;
    sink_ = receiver_.Begin(std::move(head_));
    stopped_ = sink_ == nullptr;
    return !stopped_;
  }

  bool Body(std::string_view piece) {
    if (sink_ == nullptr) return false;  // bytes of an answer that has no head
    stopped_ = !sink_->Append(std::as_bytes(std::span(piece)));
    return !stopped_;
  }

  HttpReceiver& receiver_;
  ByteSink* sink_ = nullptr;
  HttpHead head_;
  size_t head_bytes_ = 0;
  bool begun_ = false;
  bool stopped_ = false;
};

// What answers does not speak TLS, and will not the next time.
bool IsNoTls(CURLcode code, std::string_view reason) {
  return code == CURLE_SSL_CONNECT_ERROR &&
         (reason.find("wrong version number") != std::string_view::npos ||
          reason.find("packet length too long") != std::string_view::npos);
}

Errc CodeOf(CURLcode code, std::string_view reason) {
  if (IsNoTls(code, reason)) return Errc::kUnusable;
  switch (code) {
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

struct CurlUrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct CurlTextDeleter {
  void operator()(char* text) const { curl_free(text); }
};

// "HOST port PORT", as libcurl's sentences have it; empty if it is no URL.
std::string PlaceOf(const char* url, const char* default_port) {
  const std::unique_ptr<CURLU, CurlUrlDeleter> parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url, CURLU_GUESS_SCHEME) != CURLUE_OK) return {};
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    curl_url_get(parsed.get(), which, &text, 0);
    const std::unique_ptr<char, CurlTextDeleter> owned(text);
    return std::string(text == nullptr ? "" : text);
  };
  const std::string port = part(CURLUPART_PORT);
  return part(CURLUPART_HOST) + " port " + (port.empty() ? default_port : port);
}

// The variable that names the proxy of `origin`, and where that is. Empty: there is none.
struct Proxy {
  const char* variable = "";
  std::string place{};
};
Proxy ProxyOf(const std::string& origin) {
  const bool secure = origin.starts_with("https:");
  for (const char* name : {secure ? "https_proxy" : "http_proxy", secure ? "HTTPS_PROXY" : "",
                           "all_proxy", "ALL_PROXY"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return {name, PlaceOf(value, "1080")};
  }
  return {};
}

// libcurl names a proxy as it would the endpoint, and who reads that does not know the address.
std::string ProxyHint(const std::string& origin, std::string_view reason) {
  const auto [variable, place] = ProxyOf(origin);
  const bool is_named = !place.empty() && reason.find(" " + place) != std::string_view::npos;
  const bool is_endpoint =
      PlaceOf(origin.c_str(), origin.starts_with("https:") ? "443" : "80") == place;
  return is_named && !is_endpoint ? fmt::format("; that is the proxy of {}", variable) : "";
}

// A proxy that will not let us through to `origin` says so to CONNECT. That is not asked again.
std::optional<Error> RefusalOfProxy(CURL* handle, const std::string& origin) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_HTTP_CONNECTCODE, &status);
  if (status < 400 || status >= 500 || status == 408 || status == 429) return std::nullopt;
  const auto [variable, place] = ProxyOf(origin);
  const char* const what =
      status == 407 ? "asks for a user name and a password: http://USER:PASSWORD@HOST:PORT"
                    : "refuses to connect us; no_proxy names hosts to reach without it";
  return Error{Errc::kUnusable, fmt::format("{}: HTTP {} of the proxy of {}, {}, which {}", origin,
                                            status, variable, place, what)};
}

// libcurl calls this about once a second while nothing comes, and more often else; an answer
// other than 0 ends the transfer.
int OnProgress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::stop_token*>(stop)->stop_requested() ? 1 : 0;
}

long Milliseconds(Duration wait) {
  return static_cast<long>(
      std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::milliseconds>(wait).count()));
}

void SetConstantOptions(CURL* handle, const HttpClientOptions& options) {
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXCONNECTS, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(options.connect_timeout));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(
      handle, CURLOPT_LOW_SPEED_TIME,
      static_cast<long>(std::chrono::ceil<std::chrono::seconds>(options.stall_timeout).count()));
  const bool verify = options.verify_certificate && options.public_key_pin.empty();
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  if (!options.public_key_pin.empty())
    curl_easy_setopt(handle, CURLOPT_PINNEDPUBLICKEY, options.public_key_pin.c_str());
  if (!options.client_certificate_file.empty())
    curl_easy_setopt(handle, CURLOPT_SSLCERT, options.client_certificate_file.c_str());
  if (!options.client_key_file.empty())
    curl_easy_setopt(handle, CURLOPT_SSLKEY, options.client_key_file.c_str());
  if (!options.use_proxy) curl_easy_setopt(handle, CURLOPT_PROXY, "");
  if (!options.ca_file.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, options.ca_file.c_str());
    // Debian's libcurl has a directory of the system's authorities as well.
    curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
  }
  // A thread that asks for a name cannot be ended. A call that gives up leaves it to itself
  // rather than waiting for a resolver that is silent, which may take half a minute.
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &options.stop);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &Answer::OnHeader);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Answer::OnBody);
}

// What is left of the request before on a handle that is used again counts no more after this.
void SetMethod(CURL* handle, const HttpRequest& request) {
  if (request.method == "POST") {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
  } else {
    curl_easy_setopt(handle, request.method == "HEAD" ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L);
  }
}

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const HttpClientOptions& options,
                                                       const Clock& clock) {
  const auto unreadable = [](const std::string& file) {
    return !file.empty() && access(file.c_str(), R_OK) != 0;
  };
  if (!options.ca_file_may_be_missing && unreadable(options.ca_file))
    return Fail(Errc::kInvalid, "CA file " + options.ca_file + ": " + std::strerror(errno));
  for (const std::string& file : {options.client_certificate_file, options.client_key_file})
    if (unreadable(file)) return Fail(Errc::kInvalid, file + ": " + std::strerror(errno));
  return std::unique_ptr<HttpClient>(new HttpClient(options, clock));
}

HttpClient::HttpClient(const HttpClientOptions& options, const Clock& clock)
    : options_(options),
      clock_(clock),
      handles_(std::make_unique<CurlHandles>(options.connection_count_max, [this](CURL* handle) {
        SetConstantOptions(handle, options_);
      })) {}

HttpClient::~HttpClient() = default;

void HttpClient::SetConnectionCountMax(size_t connection_count_max) {
  handles_->SetCountMax(connection_count_max);
}

Result<> HttpClient::Send(const HttpRequest& request, HttpReceiver& receiver, Deadline deadline) {
  ASSIGN_OR_RETURN(HeaderLines headers, HeaderLines::Of(request));
  ASSIGN_OR_RETURN(const CurlHandles::Lease lease, handles_->Acquire(clock_, deadline));
  CURL* handle = lease.get();
  const Duration remaining = deadline.Remaining(clock_);
  if (remaining == Duration::zero()) return Fail(Errc::kTimedOut, "the deadline passed");
  if (options_.stop.stop_requested()) return Fail(Errc::kInterrupted, "stopping");

  Answer answer(receiver);
  std::array<char, CURL_ERROR_SIZE> reason{};
  const std::string url = request.origin + request.target;
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.list());
  SetMethod(handle, request);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                   remaining == Duration::max() ? 0L : Milliseconds(remaining));
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &answer);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason.data());
  const CURLcode code = curl_easy_perform(handle);
  // Nothing of this call is pointed to any more.
  if (request.method == "POST") curl_easy_setopt(handle, CURLOPT_POSTFIELDS, nullptr);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, nullptr);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, nullptr);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, nullptr);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);

  if (answer.stopped()) return Fail(Errc::kInterrupted, "the receiver wanted no more");
  if (code == CURLE_ABORTED_BY_CALLBACK) return Fail(Errc::kInterrupted, "stopping");
  if (answer.head_too_long())
    return Fail(Errc::kUnreachable, request.origin + ": the answer's head is too long");
  if (code != CURLE_OK) {
    if (auto refused = RefusalOfProxy(handle, request.origin))
      return tl::unexpected(*std::move(refused));
    const std::string_view said = reason[0] != '\0' ? reason.data() : curl_easy_strerror(code);
    std::string hint = HintOf(handle, code, said);
    if (hint.empty() && options_.use_proxy) hint = ProxyHint(request.origin, said);
    return Fail(CodeOf(code, said), request.origin + ": " + log::Printable(said) + hint);
  }
  if (!answer.has_head())
    return Fail(Errc::kUnreachable, request.origin + ": the answer is not HTTP");
  return {};
}

}  // namespace shoal
