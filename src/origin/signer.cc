#include "origin/signer.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <spdlog/fmt/chrono.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <ctime>
#include <span>

#include "net/base64.h"
#include "origin/text_values.h"

namespace shoal {
namespace {

constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// Everything in which the two V4 dialects differ, besides the canonical request.
struct V4Dialect {
  std::string_view algorithm;
  std::string_view key_prefix;
  std::string_view terminator;
  std::string_view header_prefix;
};
constexpr V4Dialect kOssDialect{"OSS4-HMAC-SHA256", "aliyun_v4", "aliyun_v4_request", "x-oss-"};
constexpr V4Dialect kAwsDialect{"AWS4-HMAC-SHA256", "AWS4", "aws4_request", "x-amz-"};

// The query parameters that V1 signs, besides every x-oss-*. Sorted for the search.
constexpr auto kV1SubResources = std::to_array<std::string_view>({
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketInfo",
    "callback",
    "callback-var",
    "cleanRestoredObject",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "img",
    "inventory",
    "inventoryId",
    "lifecycle",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "qos",
    "qosInfo",
    "referer",
    "regionList",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "resourceGroup",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
});
static_assert(std::ranges::is_sorted(kV1SubResources));

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Hmac(const EVP_MD* hash, std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned size = 0;
  const auto* done = HMAC(hash, key.data(), static_cast<int>(key.size()), Bytes(text), text.size(),
                          mac.data(), &size);
  assert(done != nullptr);
  static_cast<void>(done);
  return {reinterpret_cast<const char*>(mac.data()), size};
}

std::string Sha256(std::string_view text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(Bytes(text), text.size(), reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Trimmed, and with each run of spaces inside made one, as AWS asks for.
std::string OneSpaced(std::string_view value) {
  std::string text;
  for (const char c : Trim(value)) {
    if (c != ' ' || text.back() != ' ') text += c;
  }
  return text;
}

std::string_view Header(const SignableRequest& request, std::string_view name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? std::string_view() : Trim(found->second);
}

std::string Join(std::span<const std::string> parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

// "/", "/bucket/" or "/bucket/key": what OSS signs instead of the request's path.
std::string OssResource(const SignableRequest& request) {
  if (request.bucket.empty()) return "/" + request.key;
  return "/" + request.bucket + "/" + request.key;
}

std::string V1StringToSign(const SignableRequest& request, std::string_view date) {
  std::string text = request.method;
  for (const std::string_view line :
       {Header(request, "content-md5"), Header(request, "content-type"), date})
    text.append("\n").append(line);
  text += '\n';
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with("x-oss-")) text.append(name).append(":").append(Trim(value)).append("\n");
  }
  text += OssResource(request);

  std::vector<std::string> signed_parameters;
  for (const auto& [name, value] : request.query) {
    if (!name.starts_with("x-oss-") &&
        !std::ranges::binary_search(kV1SubResources, std::string_view(name)))
      continue;
    signed_parameters.push_back(value.empty() ? name : name + "=" + value);
  }
  std::ranges::sort(signed_parameters);
  if (!signed_parameters.empty()) text += "?" + Join(signed_parameters, "&");
  return text;
}

// AWS writes an empty value as "name=", OSS as "name".
std::string CanonicalQuery(const SignableRequest& request, bool equals_when_empty) {
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : request.query)
    encoded.emplace_back(PercentEncode(name, false), PercentEncode(value, false));
  std::ranges::sort(encoded);
  std::string text;
  for (const auto& [name, value] : encoded) {
    if (!text.empty()) text += '&';
    text += name;
    if (equals_when_empty || !value.empty()) text.append("=").append(value);
  }
  return text;
}

std::string_view PayloadHash(const SignableRequest& request, const V4Dialect& dialect) {
  const auto hash = Header(request, std::string(dialect.header_prefix) + "content-sha256");
  return hash.empty() ? kUnsignedPayload : hash;
}

std::string OssV4CanonicalRequest(const SignableRequest& request, const SigningScope& scope) {
  const auto always_signed = [](std::string_view name) {
    return name.starts_with("x-oss-") || name == "content-type" || name == "content-md5";
  };
  std::string headers;
  for (const auto& [name, value] : request.headers) {
    if (always_signed(name) ||
        std::ranges::find(scope.signed_headers, name) != scope.signed_headers.end())
      headers.append(name).append(":").append(Trim(value)).append("\n");
  }
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method,
                     PercentEncode(OssResource(request), true), CanonicalQuery(request, false),
                     headers, Join(scope.signed_headers, ";"), PayloadHash(request, kOssDialect));
}

std::string AwsV4CanonicalRequest(const SignableRequest& request, const SigningScope& scope) {
  std::string headers;
  for (const auto& name : scope.signed_headers)
    headers.append(name).append(":").append(OneSpaced(Header(request, name))).append("\n");
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.encoded_path,
                     CanonicalQuery(request, true), headers, Join(scope.signed_headers, ";"),
                     PayloadHash(request, kAwsDialect));
}

// "20260101/cn-hangzhou/oss/aliyun_v4_request"
std::string CredentialScope(const SigningScope& scope, const V4Dialect& dialect) {
  return fmt::format("{}/{}/{}/{}", scope.timestamp.substr(0, 8), scope.region, scope.service,
                     dialect.terminator);
}

std::string MakeSigningKey(const std::array<std::string, 5>& parts) {
  std::string key = parts.front();
  for (const std::string& part : std::span(parts).subspan(1)) key = Hmac(EVP_sha256(), key, part);
  return key;
}

std::string V4Signature(const V4Dialect& dialect, std::string_view canonical_request,
                        const SigningScope& scope, std::string_view secret, SigningKey* key) {
  const auto text = fmt::format("{}\n{}\n{}\n{}", dialect.algorithm, scope.timestamp,
                                CredentialScope(scope, dialect), Hex(Sha256(canonical_request)));
  const std::array<std::string, 5> parts = {std::string(dialect.key_prefix).append(secret),
                                            scope.timestamp.substr(0, 8), scope.region,
                                            scope.service, std::string(dialect.terminator)};
  return Hex(Hmac(EVP_sha256(), key != nullptr ? key->Of(parts) : MakeSigningKey(parts), text));
}

void SignV1(SignableRequest& request, const AccessKeys& keys, std::tm now) {
  const std::string date = fmt::format("{:%a, %d %b %Y %H:%M:%S GMT}", now);
  request.headers["date"] = date;
  if (!keys.security_token.empty()) request.headers["x-oss-security-token"] = keys.security_token;
  const std::string signature =
      Signature(SignatureScheme::kOssV1, request, {.timestamp = date}, keys.secret);
  request.headers["authorization"] = fmt::format("OSS {}:{}", keys.id, signature);
}

void SignV4(SignatureScheme scheme, SignableRequest& request, const AccessKeys& keys,
            std::string_view region, std::tm now, SigningKey* key) {
  const bool aws = scheme == SignatureScheme::kAwsV4;
  const V4Dialect& dialect = aws ? kAwsDialect : kOssDialect;
  const std::string prefix(dialect.header_prefix);
  SigningScope scope{.timestamp = fmt::format("{:%Y%m%dT%H%M%SZ}", now),
                     .region = std::string(region),
                     .service = aws ? "s3" : "oss",
                     .signed_headers = {}};

  request.headers[prefix + "date"] = scope.timestamp;
  request.headers[prefix + "content-sha256"] = kUnsignedPayload;
  if (!keys.security_token.empty())
    request.headers[prefix + "security-token"] = keys.security_token;
  if (aws) {
    for (const auto& header : request.headers) scope.signed_headers.push_back(header.first);
  }

  const std::string signature = Signature(scheme, request, scope, keys.secret, key);
  request.headers["authorization"] = fmt::format(
      "{} Credential={}/{},{}Signature={}", dialect.algorithm, keys.id,
      CredentialScope(scope, dialect),
      aws ? "SignedHeaders=" + Join(scope.signed_headers, ";") + "," : std::string(), signature);
}

}  // namespace

std::string SigningKey::Of(const std::array<std::string, 5>& parts) {
  const MutexLock lock(mutex_);
  if (parts_ != parts) {
    parts_ = parts;
    key_ = MakeSigningKey(parts);
  }
  return key_;
}

std::string Signature(SignatureScheme scheme, const SignableRequest& request,
                      const SigningScope& scope, std::string_view secret, SigningKey* key) {
  switch (scheme) {
    case SignatureScheme::kOssV1:
      return Base64(Hmac(EVP_sha1(), secret, V1StringToSign(request, scope.timestamp)));
    case SignatureScheme::kOssV4:
      return V4Signature(kOssDialect, OssV4CanonicalRequest(request, scope), scope, secret, key);
    case SignatureScheme::kAwsV4:
      break;
  }
  return V4Signature(kAwsDialect, AwsV4CanonicalRequest(request, scope), scope, secret, key);
}

void Sign(SignatureScheme scheme, SignableRequest& request, const AccessKeys& keys,
          std::string_view region, int64_t now_unix_seconds, SigningKey* key) {
  const std::time_t seconds = now_unix_seconds;
  std::tm now{};
  gmtime_r(&seconds, &now);
  scheme == SignatureScheme::kOssV1 ? SignV1(request, keys, now)
                                    : SignV4(scheme, request, keys, region, now, key);
}

std::string PercentEncode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto unreserved = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
  };
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (unreserved(c) || (keep_slash && c == '/')) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4];
    encoded += kDigits[byte & 15];
  }
  return encoded;
}

}  // namespace shoal
