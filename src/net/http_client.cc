#include "net/http_client.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "net/http_answer_reader.h"
#include "net/kept_connections.h"

namespace shoal {
namespace {

bool HasControlByte(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// What is wrong with it; nothing if it can be sent.
Result<> Check(const HttpRequest& request) {
  if (HasControlByte(request.target) || request.target.find(' ') != std::string::npos)
    return Fail(Errc::kUnusable, "a blank or a control byte in the target");
  for (const auto& [name, value] : request.headers)
    if (HasControlByte(name) || HasControlByte(value))
      return Fail(Errc::kUnusable, "a control byte in header '" + log::Printable(name) + "'");
  return {};
}

// The request as it goes on the wire.
std::string TextOf(const HttpRequest& request, const Proxy& proxy) {
  std::string text = request.method;
  text += ' ';
  if (proxy.takes_requests) text += request.origin;
  text.append(request.target).append(" HTTP/1.1\r\n");
  const auto add = [&](std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
  };
  if (!request.headers.contains("host"))
    add("host", std::string_view(request.origin).substr(request.origin.find("://") + 3));
  if (!proxy.authorization.empty()) add("proxy-authorization", proxy.authorization);
  if (request.method == "POST") {
    add("content-length", std::to_string(request.body.size()));
    if (!request.headers.contains("content-type"))
      add("content-type", "application/x-www-form-urlencoded");
  }
  for (const auto& [name, value] : request.headers) add(name, value);
  return text.append("\r\n").append(request.body);
}

Result<> Exchange(ClientConnection& connection, std::string_view request, HttpAnswerReader& answer,
                  Deadline deadline) {
  RETURN_IF_ERROR(connection.Send(request, deadline));
  while (!answer.done()) {
    ASSIGN_OR_RETURN(const size_t count, connection.Receive(answer.Room(), deadline));
    RETURN_IF_ERROR(count == 0 ? answer.Ended() : answer.Took(count));
  }
  return {};
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
      connections_(std::make_unique<KeptConnections>(options_, clock_)) {}

HttpClient::~HttpClient() = default;

void HttpClient::SetConnectionCountMax(size_t connection_count_max) {
  connections_->SetCountMax(connection_count_max);
}

Result<> HttpClient::Send(const HttpRequest& request, HttpReceiver& receiver, Deadline deadline) {
  RETURN_IF_ERROR(Check(request));
  ASSIGN_OR_RETURN(const KeptConnections::Lease connection, connections_->Acquire(deadline));
  if (deadline.Passed(clock_)) return Fail(Errc::kTimedOut, "the deadline passed");
  if (options_.stop.stop_requested()) return Fail(Errc::kInterrupted, "stopping");

  const auto of_origin = [&](Error error) {
    if (error.code != Errc::kInterrupted) error.detail.insert(0, request.origin + ": ");
    return tl::unexpected(std::move(error));
  };
  while (true) {
    const bool was_kept = connection->IsAtRest(request.origin);
    if (!was_kept)
      if (auto opened = connection->Open(request.origin, deadline); !opened)
        return of_origin(std::move(opened).error());
    HttpAnswerReader answer(receiver, /*has_body=*/request.method != "HEAD");
    auto outcome = Exchange(*connection, TextOf(request, connection->proxy()), answer, deadline);
    if (!outcome || !answer.keeps_connection()) connection->Close();
    if (outcome) return {};
    // The other side may have ended what was idle just before this came. A POST may have been
    // heard.
    const bool may_go_again = was_kept && !answer.has_begun() && request.method != "POST";
    if (!may_go_again || outcome.error().code != Errc::kUnreachable)
      return of_origin(std::move(outcome).error());
  }
}

}  // namespace shoal
