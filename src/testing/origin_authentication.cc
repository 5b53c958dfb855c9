#include "testing/origin_authentication.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/log.h"
#include "origin/text_values.h"
#include "testing/origin_range.h"

namespace shoal::embedded {
namespace {

constexpr int64_t kSkewSecondsMax = 900;

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), piece.size() + 1));
    pieces.emplace_back(piece);
  }
  return pieces;
}

auto Malformed(std::string_view what) {
  return Refuse({400, "AuthorizationHeaderMalformed",
                 "The authorization header is malformed: " + std::string(what) + "."});
}

ServiceResult<Claim> ParseV1(const OriginRequest& request, std::string_view text) {
  Claim claim;
  claim.scheme = SignatureScheme::kOssV1;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Malformed("no ':'");
  claim.key_id = text.substr(0, colon);
  claim.signature = text.substr(colon + 1);
  // A client that may not set Date (a browser) sends x-oss-date, and signs that.
  const std::string_view other_date = request.Header("x-oss-date");
  claim.scope.timestamp = other_date.empty() ? request.Header("date") : other_date;
  claim.signed_unix_seconds = ParseHttpDate(claim.scope.timestamp).value_or(-1);
  return claim;
}

// Credential=ID/DAY/REGION/SERVICE/TERMINATOR, SignedHeaders=a;b, Signature=HEX
ServiceResult<Claim> ParseV4(const OriginRequest& request, SignatureScheme scheme,
                             std::string_view text) {
  Claim claim;
  claim.scheme = scheme;
  const bool is_oss = scheme == SignatureScheme::kOssV4;
  for (std::string field : Split(text, ',')) {
    field.erase(0, field.find_first_not_of(' '));
    const size_t equals = field.find('=');
    if (equals == std::string::npos) return Malformed("no '='");
    const std::string name = field.substr(0, equals);
    const std::string value = field.substr(equals + 1);
    if (name == "Credential") {
      // The id itself may hold a '/'.
      std::vector<std::string> parts = Split(value, '/');
      if (parts.size() < 5) return Malformed("Credential has too few parts");
      const size_t id_parts = parts.size() - 4;
      claim.key_id = value.substr(
          0, value.size() - (parts[id_parts].size() + parts[id_parts + 1].size() +
                             parts[id_parts + 2].size() + parts[id_parts + 3].size() + 4));
      claim.scope.region = parts[id_parts + 1];
      claim.scope.service = parts[id_parts + 2];
    } else if (name == (is_oss ? "AdditionalHeaders" : "SignedHeaders")) {
      claim.scope.signed_headers = Split(value, ';');
    } else if (name == "Signature") {
      claim.signature = value;
    }
  }
  std::string_view date = request.Header(is_oss ? "x-oss-date" : "x-amz-date");
  if (date.empty()) date = request.Header("date");
  claim.scope.timestamp = date;
  claim.signed_unix_seconds = ParseIsoDate(claim.scope.timestamp);
  return claim;
}

std::string Rights() {
  std::set<std::string_view> rights;
  for (const auto& [name, right] : kOperationNames) rights.insert(right);
  return fmt::format("{}", fmt::join(rights, ", "));
}

Result<Credential> CredentialFromJson(const nlohmann::json& item) {
  const auto text = [&](const char* name) {
    return item.is_object() && item.contains(name) && item[name].is_string()
               ? item[name].get<std::string>()
               : std::string();
  };
  Credential credential;
  credential.keys = {text("id"), text("secret"), text("token"), 0};
  if (credential.keys.id.empty() || credential.keys.secret.empty())
    return Fail(Errc::kInvalid, "a credential needs an id and a secret");
  if (const std::string expiration = text("expiration"); !expiration.empty()) {
    credential.keys.expires_unix_seconds = ParseIsoDate(expiration);
    if (credential.keys.expires_unix_seconds < 0)
      return Fail(Errc::kInvalid, "not a time like 2030-01-01T00:00:00Z: '" + expiration + "'");
  }
  if (!item.contains("deny")) return credential;
  if (!item["deny"].is_array()) return Fail(Errc::kInvalid, "deny is not a list of rights");
  for (const auto& given : item["deny"]) {
    if (!given.is_string()) return Fail(Errc::kInvalid, "deny is not a list of rights");
    const auto spelled = given.get<std::string>();
    // As access policies spell it, or without the service.
    std::string_view right = spelled;
    if (right.starts_with("oss:")) right.remove_prefix(4);
    if (std::ranges::find(kOperationNames, right, &OperationName::right) == kOperationNames.end())
      return Fail(Errc::kInvalid,
                  "deny: there is no right '" + spelled + "'; there are " + Rights());
    credential.denied.emplace_back(right);
  }
  return credential;
}

Result<std::map<std::string, Credential>> ParseCredentials(const std::string& text) {
  std::map<std::string, Credential> credentials;
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start != std::string::npos && (text[start] == '[' || text[start] == '{')) {
    nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
    if (document.is_discarded()) return Fail(Errc::kInvalid, "the file is not JSON");
    if (document.is_object()) document = nlohmann::json::array({document});
    for (const auto& item : document) {
      ASSIGN_OR_RETURN(Credential credential, CredentialFromJson(item));
      credentials[credential.keys.id] = std::move(credential);
    }
    return credentials;
  }
  for (const std::string& line : Split(text, '\n')) {
    if (line.empty() || line.starts_with('#')) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) return Fail(Errc::kInvalid, "a line without ID:SECRET");
    credentials[line.substr(0, colon)] = {{line.substr(0, colon), line.substr(colon + 1), "", 0},
                                          {}};
  }
  return credentials;
}

ServiceResult<> CheckToken(const OriginRequest& request, const AccessKeys& keys,
                           int64_t now_unix_seconds) {
  const bool is_oss = request.dialect == Dialect::kOss;
  const std::string_view token = request.VendorHeader("security-token");
  if (token != keys.security_token) {
    if (!is_oss)
      return Refuse({400, "InvalidToken", "The provided token is malformed or otherwise invalid."});
    if (token.empty() || keys.security_token.empty())
      return Refuse({403, "InvalidAccessKeyId",
                     "The OSS Access Key Id you provided does not exist in our records.",
                     "0002-00000002"});
    return Refuse({403, "InvalidSecurityToken", "The security token you provided is invalid.",
                   "0002-00000006"});
  }
  if (keys.expires_unix_seconds != 0 && now_unix_seconds >= keys.expires_unix_seconds) {
    if (is_oss)
      return Refuse({403, "SecurityTokenExpired", "The security token you provided has expired.",
                     "0002-00000007"});
    return Refuse({400, "ExpiredToken", "The provided token has expired."});
  }
  return {};
}

// AWS leaves it to the client what its signature covers, but for the host and the service's own
// headers, which decide what the request does. OSS signs the latter in any case.
ServiceResult<> CheckCovered(const OriginRequest& request, const Claim& claim) {
  if (claim.scheme != SignatureScheme::kAwsV4) return {};
  std::vector<std::string_view> missing;
  const auto check = [&](std::string_view name) {
    if (std::ranges::find(claim.scope.signed_headers, name) == claim.scope.signed_headers.end())
      missing.push_back(name);
  };
  check("host");
  for (const auto& [name, value] : request.headers)
    if (name.starts_with("x-amz-")) check(name);
  if (missing.empty()) return {};
  return Refuse({403,
                 "AccessDenied",
                 "There were headers present in the request which were not signed",
                 "",
                 {{"HeadersNotSigned", fmt::format("{}", fmt::join(missing, ", "))}}});
}

}  // namespace

Dialect DialectOf(const OriginRequest& request) {
  const std::string_view text = request.Header("authorization");
  if (text.starts_with("AWS")) return Dialect::kS3;
  if (text.starts_with("OSS")) return Dialect::kOss;
  const auto first = request.headers.lower_bound("x-amz-");
  return first != request.headers.end() && first->first.starts_with("x-amz-") ? Dialect::kS3
                                                                              : Dialect::kOss;
}

ServiceResult<Claim> ParseClaim(const OriginRequest& request) {
  const std::string_view text = request.Header("authorization");
  constexpr std::string_view kV1 = "OSS ";
  constexpr std::string_view kOssV4 = "OSS4-HMAC-SHA256 ";
  constexpr std::string_view kAwsV4 = "AWS4-HMAC-SHA256 ";
  if (text.starts_with(kV1)) return ParseV1(request, text.substr(kV1.size()));
  if (text.starts_with(kOssV4))
    return ParseV4(request, SignatureScheme::kOssV4, text.substr(kOssV4.size()));
  if (text.starts_with(kAwsV4))
    return ParseV4(request, SignatureScheme::kAwsV4, text.substr(kAwsV4.size()));
  if (!text.empty()) return Refuse({400, "InvalidArgument", "Unsupported authorization type."});
  return Refuse({403, "AccessDenied",
                 "You have no right to access this object because of bucket acl.",
                 "0003-00000001"});
}

Result<std::unique_ptr<Authenticator>> Authenticator::Open(const std::string& credentials_path,
                                                           const Clock& clock) {
  std::unique_ptr<Authenticator> made(new Authenticator(credentials_path, clock));
  if (credentials_path.empty()) {
    const MutexLock lock(made->mutex_);
    made->credentials_[std::string(kBuiltInKeyId)] = {
        {std::string(kBuiltInKeyId), std::string(kBuiltInKeySecret), "", 0}, {}};
    return made;
  }
  RETURN_IF_ERROR(made->ReadAgainIfChanged());
  return made;
}

Result<> Authenticator::ReadAgainIfChanged() {
  if (path_.empty()) return {};
  struct stat status;
  if (stat(path_.c_str(), &status) != 0) return tl::unexpected(ErrorFromErrno(errno, path_));
  const FileStamp stamp = FileStamp::Of(status);
  {
    const MutexLock lock(mutex_);
    if (stamp == stamp_) return {};
  }
  std::ifstream file(path_);
  std::stringstream text;
  text << file.rdbuf();
  auto credentials = ParseCredentials(text.str());
  if (!credentials) return Fail(Errc::kInvalid, path_ + ": " + credentials.error().detail);
  const MutexLock lock(mutex_);
  stamp_ = stamp;
  credentials_ = *std::move(credentials);
  return {};
}

std::optional<Credential> Authenticator::Find(const std::string& key_id) {
  // A file half written is read again with the next request; until then the old keys hold.
  if (const auto read = ReadAgainIfChanged(); !read)
    log::Warn("keeping the credentials read before: {}", read.error().detail);
  const MutexLock lock(mutex_);
  const auto found = credentials_.find(key_id);
  if (found == credentials_.end()) return std::nullopt;
  return found->second;
}

ServiceResult<> Authenticator::Check(const OriginRequest& request, Operation operation) {
  ASSIGN_OR_RETURN(const Claim claim, ParseClaim(request));
  const bool is_oss = request.dialect == Dialect::kOss;
  const auto credential = Find(claim.key_id);
  if (!credential)
    return Refuse({403,
                   "InvalidAccessKeyId",
                   is_oss ? "The OSS Access Key Id you provided does not exist in our records."
                          : "The AWS Access Key Id you provided does not exist in our records.",
                   "0002-00000902",
                   {{is_oss ? "OSSAccessKeyId" : "AWSAccessKeyId", claim.key_id}}});
  const int64_t now = clock_.UnixSeconds();
  if (claim.signed_unix_seconds < 0)
    return Refuse({403, "AccessDenied", "A valid Date or vendor date header is required."});
  if (std::abs(now - claim.signed_unix_seconds) > kSkewSecondsMax)
    return Refuse({403,
                   "RequestTimeTooSkewed",
                   "The difference between the request time and the current time is too large.",
                   "0002-00000504",
                   {{"MaxAllowedSkewMilliseconds", std::to_string(kSkewSecondsMax * 1000)},
                    {"RequestTime", DocumentDate(claim.signed_unix_seconds)},
                    {"ServerTime", DocumentDate(now)}}});
  RETURN_IF_ERROR(CheckCovered(request, claim));
  const std::string expected =
      Signature(claim.scheme, request, claim.scope, credential->keys.secret);
  if (expected.size() != claim.signature.size() ||
      CRYPTO_memcmp(expected.data(), claim.signature.data(), expected.size()) != 0)
    return Refuse({403,
                   "SignatureDoesNotMatch",
                   "The request signature we calculated does not match the signature you "
                   "provided. Check your key and signing method.",
                   "0002-00000201",
                   {{is_oss ? "OSSAccessKeyId" : "AWSAccessKeyId", claim.key_id},
                    {"SignatureProvided", claim.signature}}});
  RETURN_IF_ERROR(CheckToken(request, credential->keys, now));
  const std::string_view right = NameOf(operation).right;
  if (std::ranges::find(credential->denied, right) != credential->denied.end())
    return Refuse({403, "AccessDenied",
                   "You have no right to access this object because of the access policy: oss:" +
                       std::string(right) + " is denied.",
                   "0003-00000001"});
  return {};
}

}  // namespace shoal::embedded
