#include "testing/origin_message.h"

#include <algorithm>
#include <array>
#include <utility>

#include "origin/text_values.h"

namespace shoal::embedded {
namespace {

bool IsAddress(std::string_view host) {
  return host.empty() || host == "localhost" || host.starts_with('[') ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// The bucket a host name carries, or empty for path style.
std::string_view BucketOfHost(std::string_view host, const std::vector<std::string>& buckets) {
  const size_t dot = host.find('.');
  if (IsAddress(host) || dot == std::string_view::npos) return {};
  const std::string_view first = host.substr(0, dot);
  const std::string_view rest = host.substr(dot + 1);
  const bool rest_is_service =
      rest == "localhost" || rest.starts_with("oss-") || rest.starts_with("s3");
  if (rest_is_service || std::ranges::find(buckets, first) != buckets.end()) return first;
  return {};
}

}  // namespace

ServiceError InvalidArgument(std::string message) {
  return {400, "InvalidArgument", std::move(message)};
}

ServiceError InternalError(const Error& error) {
  if (error.code == Errc::kNoSpace) return {507, "InsufficientStorage", error.detail};
  return {500, "InternalError", error.detail};
}

std::string_view VendorPrefix(Dialect dialect) {
  return dialect == Dialect::kOss ? "x-oss-" : "x-amz-";
}

std::string_view OriginRequest::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

std::string_view OriginRequest::VendorHeader(std::string_view name) const {
  return Header(std::string(VendorPrefix(dialect)).append(name));
}

std::optional<std::string_view> OriginRequest::Query(std::string_view name) const {
  for (const auto& [known, value] : query)
    if (known == name) return value;
  return std::nullopt;
}

std::string_view OriginRequest::QueryOr(std::string_view name, std::string_view fallback) const {
  return Query(name).value_or(fallback);
}

ServiceResult<std::string> ReadAll(RequestBody& body, size_t size_bytes_max) {
  std::string text;
  std::array<std::byte, 16384> piece;
  while (true) {
    ASSIGN_OR_RETURN(const size_t size, body.Read(piece));
    if (size == 0) return text;
    if (text.size() + size > size_bytes_max)
      return Refuse({400, "MalformedXML", "The document in the request is too large."});
    text.append(reinterpret_cast<const char*>(piece.data()), size);
  }
}

RequestTarget SplitTarget(std::string_view target, std::string_view host_header) {
  constexpr std::string_view kScheme = "http://";
  if (!target.starts_with(kScheme)) return {std::string(host_header), std::string(target)};
  target.remove_prefix(kScheme.size());
  const size_t authority_length = std::min(target.find_first_of("/?"), target.size());
  std::string rest(target.substr(authority_length));
  if (!rest.starts_with('/')) rest.insert(0, "/");
  return {std::string(target.substr(0, authority_length)), std::move(rest)};
}

ServiceResult<> ParseTarget(std::string_view target, const std::vector<std::string>& buckets,
                            OriginRequest& request) {
  const auto bad = [] {
    return Refuse({400, "InvalidURI", "The request line could not be understood."});
  };
  if (!target.starts_with('/')) return bad();
  const size_t mark = target.find('?');
  request.encoded_path = target.substr(0, mark);
  std::string_view rest = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    auto name = PercentDecode(pair.substr(0, equals), true);
    auto value =
        PercentDecode(equals == std::string_view::npos ? "" : pair.substr(equals + 1), true);
    if (!name || !value) return bad();
    request.query.emplace_back(*std::move(name), *std::move(value));
  }
  std::string_view path = std::string_view(request.encoded_path).substr(1);
  if (const std::string_view bucket = BucketOfHost(request.host, buckets); !bucket.empty()) {
    request.bucket = bucket;
  } else {
    const size_t slash = path.find('/');
    auto name = PercentDecode(path.substr(0, slash), false);
    if (!name) return bad();
    request.bucket = *std::move(name);
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
  }
  auto key = PercentDecode(path, false);
  if (!key) return bad();
  request.key = *std::move(key);
  return {};
}

}  // namespace shoal::embedded
