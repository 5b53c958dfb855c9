#include "origin/error_document.h"

#include <array>
#include <pugixml.hpp>

#include "base/log.h"

namespace shoal {
namespace {

constexpr size_t kFieldBytesMax = 256;

struct CredentialCode {
  std::string_view code;
  std::string_view hint;
};
constexpr std::string_view kTokenHint = "the security token has expired or is not valid";
constexpr auto kCredentialCodes = std::to_array<CredentialCode>({
    {"SecurityTokenExpired", kTokenHint},
    {"InvalidSecurityToken", kTokenHint},
    {"ExpiredToken", kTokenHint},
    {"InvalidToken", kTokenHint},
    {"TokenRefreshRequired", kTokenHint},
    {"InvalidAccessKeyId", "the store does not know this AccessKeyId"},
    {"SignatureDoesNotMatch",
     "the AccessKeySecret is wrong, or the region is not the bucket's (option region)"},
    {"AuthorizationHeaderMalformed", "the region is not the bucket's (option region)"},
    {"RequestTimeTooSkewed", "this machine's clock and the store's are too far apart"},
});

std::string_view CredentialHint(std::string_view code) {
  for (const auto& known : kCredentialCodes)
    if (known.code == code) return known.hint;
  return {};
}

// A proxy, a gateway or another service answers in its own words.
bool IsOfNoStore(const Operation& operation, const ErrorDocument& document) {
  return operation.kind != Operation::Kind::kHead && document.code.empty() &&
         document.request_id.empty();
}

Errc CodeOf(const Operation& operation, int status, const ErrorDocument& document) {
  // S3 answers 400 for some of these, 403 for others.
  if (!CredentialHint(document.code).empty()) return Errc::kDenied;
  if (document.code == "InvalidObjectState") return Errc::kArchived;
  if (status == 401 || status == 403 || status == 404) {
    if (IsOfNoStore(operation, document)) return Errc::kUnusable;
    if (status != 404) return Errc::kDenied;
    const bool is_of_key =
        operation.kind != Operation::Kind::kBucket && document.code != "NoSuchBucket";
    return is_of_key ? Errc::kNotFound : Errc::kUnusable;
  }
  if (status == 412) return Errc::kChanged;
  if (status == 429 || status == 503) return Errc::kBusy;
  if (status == 408 || status >= 500) return Errc::kUnreachable;
  return Errc::kUnusable;
}

std::string HintOf(const Operation& operation, Errc code, int status,
                   const ErrorDocument& document) {
  if (const auto hint = CredentialHint(document.code); !hint.empty()) return std::string(hint);
  if (!document.endpoint.empty() && (status == 403 || (status >= 300 && status < 400)))
    return "the bucket is at another endpoint: " + document.endpoint;
  if (status >= 300 && status < 400) return "redirects are not followed; check the endpoint";
  if (document.code == "NoSuchBucket") return "there is no such bucket";
  if (status == 407) return "the proxy asks for a user name and a password";
  if (status == 400 && operation.kind == Operation::Kind::kHead)
    return "an answer to HEAD has no reason; as a rule it is a token that has expired, another "
           "region than the bucket's, or a clock that is wrong";
  if (code == Errc::kUnusable && IsOfNoStore(operation, document))
    return "not the answer of an object store, but of a proxy or another service";
  switch (code) {
    case Errc::kDenied:
      // Others have other reasons, which the store says: a policy, a key of KMS, the endpoint.
      if (!document.code.empty() && document.code != "AccessDenied") return document.message;
      return "the credentials lack the right " + std::string(operation.right) +
             (document.message.empty() ? "" : "; it says: " + document.message);
    case Errc::kArchived:
      return "the object is archived and must be restored before it can be read";
    default:
      return document.message;
  }
}

}  // namespace

ErrorDocument ParseErrorDocument(std::string_view text) {
  pugi::xml_document xml;
  if (!xml.load_buffer(text.data(), text.size(), pugi::parse_default, pugi::encoding_utf8))
    return {};
  const pugi::xml_node error = xml.child("Error");
  const auto field = [&](const char* name) {
    return std::string(std::string_view(error.child_value(name)).substr(0, kFieldBytesMax));
  };
  return {.code = field("Code"),
          .message = field("Message"),
          .request_id = field("RequestId"),
          .endpoint = field("Endpoint")};
}

std::string Describe(const Operation& operation, std::string_view what) {
  return fmt::format("{} '{}': {}", operation.name, log::Printable(operation.key), what);
}

Error FailureOf(const Operation& operation, int status, const ErrorDocument& document) {
  const Errc code = CodeOf(operation, status, document);
  std::string what = fmt::format("HTTP {}", status);
  if (IsOfNoStore(operation, document) && !document.server.empty())
    what += " of " + log::Printable(document.server.substr(0, kFieldBytesMax));
  if (!document.code.empty()) what += ", " + log::Printable(document.code);
  if (!document.request_id.empty()) what += ", request " + log::Printable(document.request_id);
  const std::string hint = HintOf(operation, code, status, document);
  if (!hint.empty()) what += ": " + log::Printable(hint);
  return {code, Describe(operation, what)};
}

}  // namespace shoal
