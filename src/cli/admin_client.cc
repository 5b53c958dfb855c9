#include "cli/admin_client.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/bytes.h"
#include "base/leave_no_core.h"
#include "base/log.h"
#include "base/read_text.h"
#include "base/resolve_links.h"
#include "control/runtime_directory.h"
#include "fuse/mount_table.h"

namespace shoal {
namespace {

constexpr size_t kAnswerBytesMax = 64 * kMiB;
constexpr std::string_view kFuseType = "fuse.";
// Longer than anything the port waits for.
constexpr Duration kWaitMax = std::chrono::seconds(40);

class BodyReceiver final : public HttpReceiver {
 public:
  ByteSink* Begin(HttpHead head) override {
    status = head.status;
    return &sink;
  }
  int status = 0;
  DocumentSink sink{kAnswerBytesMax};
};

std::string PercentEncoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~/").find(c) != std::string_view::npos)
      out += c;
    else
      out += fmt::format("%{:02X}", byte);
  }
  return out;
}

Result<std::string> ReadToken(const std::string& file) {
  if (file.empty()) return std::string();
  LeaveNoCore();
  std::string token = ReadText(file);
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back())) != 0)
    token.pop_back();
  if (token.empty()) return Fail(Errc::kDenied, file + ": cannot read the admin port's token");
  return token;
}

// With admin_client_ca_file the port serves only who shows a certificate.
constexpr const char* kCertificateVariable = "SHOAL_ADMIN_CERT";
constexpr const char* kKeyVariable = "SHOAL_ADMIN_KEY";

std::string FromEnvironment(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

// TLS 1.3 says so of a certificate that is missing or not believed; before, of either.
std::string CertificateHint(std::string_view reason) {
  for (const char* const said : {"certificate required", "alert unknown ca", "bad certificate",
                                 "alert certificate unknown", "alert handshake failure"})
    if (reason.find(said) != std::string_view::npos)
      return fmt::format(
          "; admin_client_ca_file of the mount asks for a certificate of who calls: "
          "name the PEM files of one in {} and {}",
          kCertificateVariable, kKeyVariable);
  return {};
}

// One that does not answer is not to be asked.
bool IsMountLikeOurs(const std::string& path) {
  const auto mounts = MountsAt(path);
  return mounts && !mounts->empty() && mounts->back().type.starts_with(kFuseType);
}

}  // namespace

Result<PathInMount> FindMountOf(const std::string& path) {
  if (path.empty()) return Fail(Errc::kInvalid, "the path is empty");
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error)
    return Fail(Errc::kInvalid, fmt::format("{}: the working directory: {}", log::Printable(path),
                                            error.message()));
  std::filesystem::path at = ResolveLinks(absolute, &IsMountLikeOurs);
  const std::filesystem::path wanted = at;
  while (true) {
    ASSIGN_OR_RETURN(const auto mounts, MountsAt(at.string()));
    if (!mounts.empty()) {
      if (!mounts.back().type.starts_with(kFuseType)) break;
      const std::string relative = wanted.lexically_relative(at).string();
      return PathInMount{at.string(), relative == "." ? "" : relative};
    }
    if (!at.has_relative_path()) break;
    at = at.parent_path();
  }
  return Fail(Errc::kNotFound, wanted.string() + " is in no mounted bucket");
}

Result<AdminClient> AdminClient::Open(const std::string& mount_point, const Clock& clock) {
  ASSIGN_OR_RETURN(const AdminAddress address, ReadAdminAddress(mount_point));
  ASSIGN_OR_RETURN(std::string token, ReadToken(address.token_file));
  ASSIGN_OR_RETURN(
      auto client,
      HttpClient::Create({.connection_count_max = 1,
                          .stall_timeout = kWaitMax,
                          // It may be for any name but this address.
                          .public_key_pin = address.public_key_pin,
                          .client_certificate_file = FromEnvironment(kCertificateVariable),
                          .client_key_file = FromEnvironment(kKeyVariable),
                          // The token is for this machine alone.
                          .use_proxy = false},
                         clock));
  return AdminClient(address.url, std::move(token), std::move(client), clock);
}

Result<AdminClient::Answer> AdminClient::Ask(std::string_view path, const Parameters& parameters) {
  HttpRequest request{.origin = url_, .target = std::string(path)};
  for (const auto& [name, value] : parameters)
    request.body +=
        fmt::format("{}{}={}", request.body.empty() ? "" : "&", name, PercentEncoded(value));
  // As a form: a target may be half as long, and may be too short for the paths of a command line.
  if (!parameters.empty()) request.method = "POST";
  if (!token_.empty()) request.headers.emplace("authorization", "Bearer " + token_);
  BodyReceiver receiver;
  const Result<> sent = client_->Send(request, receiver, Deadline::After(clock_, kWaitMax));
  if (!sent)
    return Fail(sent.error().code,
                fmt::format("the admin port {} does not answer: {}{}", url_, sent.error().detail,
                            CertificateHint(sent.error().detail)));
  if (receiver.status == 401 || receiver.status == 403)
    return Fail(Errc::kDenied,
                fmt::format("the admin port {} refused: {}", url_, receiver.sink.text()));
  return Answer{receiver.status, receiver.sink.text()};
}

Result<Json> AdminClient::GetJson(std::string_view path, const Parameters& parameters) {
  ASSIGN_OR_RETURN(const Answer answer, Ask(path, parameters));
  Json json = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return Fail(Errc::kInvalid,
                fmt::format("{}{} answered {} and no JSON", url_, path, answer.status));
  if (answer.status >= 400)
    return Fail(Errc::kInvalid, json.is_object() && json.contains("ErrorMessage")
                                    ? json["ErrorMessage"].get<std::string>()
                                    : fmt::format("HTTP {}", answer.status));
  return json;
}

}  // namespace shoal
