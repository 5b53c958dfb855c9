#include "app/mount_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/log.h"
#include "net/ip_address.h"

namespace shoal {
namespace {

constexpr size_t kBucketLengthMin = 3;
constexpr size_t kBucketLengthMax = 63;
constexpr size_t kHostLengthMax = 253;
constexpr size_t kKeyLengthMax = 1023;

bool IsLowerOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool IsHostCharacter(char c) {
  return IsLowerOrDigit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

auto Wrong(std::string_view source, std::string_view why) {
  return Fail(Errc::kInvalid,
              fmt::format("source '{}': {}; write BUCKET.ENDPOINT:/PREFIX, for example "
                          "data.oss-cn-hangzhou.aliyuncs.com:/, or BUCKET:/PREFIX with "
                          "-o endpoint=URL",
                          log::Printable(source), why));
}

// Not quoting the text: an endpoint with a user name may hold a password.
auto WrongEndpoint(std::string_view why) {
  return Fail(Errc::kInvalid, fmt::format("endpoint: {}; write endpoint=https://HOST[:PORT] or "
                                          "endpoint=http://HOST[:PORT]",
                                          why));
}

struct Authority {
  std::string host;  // an IPv6 address without its brackets
  std::string port;  // empty when not given
  bool ip_v6 = false;

  [[nodiscard]] std::string Text() const {
    return (ip_v6 ? "[" + host + "]" : host) + (port.empty() ? "" : ":" + port);
  }
  [[nodiscard]] bool HasNoSubdomains() const {
    return ip_v6 || IsIpV4Address(host) || host == "localhost";
  }
};

// HOST[:PORT]. The error's detail is only the reason.
Result<Authority> ParseAuthority(std::string_view text) {
  Authority out;
  std::string_view rest;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return Fail(Errc::kInvalid, "'[' without ']'");
    out.host = text.substr(1, close - 1);
    out.ip_v6 = true;
    if (!IsIpV6Address(out.host))
      return Fail(Errc::kInvalid, "what is in brackets is not an IPv6 address");
    rest = text.substr(close + 1);
  } else {
    if (std::ranges::count(text, ':') > 1)
      return Fail(Errc::kInvalid, "an IPv6 address needs brackets");
    const size_t colon = std::min(text.find(':'), text.size());
    out.host = text.substr(0, colon);
    rest = text.substr(colon);
    if (out.host.empty()) return Fail(Errc::kInvalid, "the endpoint's host is missing");
    if (out.host.size() > kHostLengthMax || !std::ranges::all_of(out.host, IsHostCharacter) ||
        out.host.starts_with('.') || out.host.find("..") != std::string::npos)
      return Fail(Errc::kInvalid, "the endpoint is not a host name or IP address");
  }
  if (rest.empty()) return out;
  uint16_t port = 0;
  const char* const end = rest.data() + rest.size();
  const auto [parsed_end, error] = std::from_chars(rest.data() + 1, end, port);
  if (rest[0] != ':' || error != std::errc{} || parsed_end != end || port == 0)
    return Fail(Errc::kInvalid, "the endpoint's port is not a number from 1 to 65535");
  out.port = std::to_string(port);
  return out;
}

struct Endpoint {
  std::string scheme = "https";
  Authority authority;
};

Result<Endpoint> ParseEndpoint(std::string_view text) {
  Endpoint out;
  if (const size_t separator = text.find("://"); separator != std::string_view::npos) {
    out.scheme = text.substr(0, separator);
    if (out.scheme != "http" && out.scheme != "https")
      return WrongEndpoint("it begins with neither http:// nor https://");
    text.remove_prefix(separator + 3);
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find('@') != std::string_view::npos)
    return WrongEndpoint(
        "it holds a user name; credentials are named with passwd_file= or "
        "g_oss_STSFile=");
  if (text.find_first_of("/?#") != std::string_view::npos)
    return WrongEndpoint("nothing may follow the host and port");
  auto authority = ParseAuthority(text);
  if (!authority) return WrongEndpoint(authority.error().detail);
  out.authority = *std::move(authority);
  return out;
}

// The reason it cannot be a bucket's name; empty if it can.
std::string WhyNotABucket(std::string_view bucket, bool dots_allowed) {
  const auto allowed = [&](char c) {
    return IsLowerOrDigit(c) || c == '-' || (dots_allowed && c == '.');
  };
  const std::string name = log::Printable(bucket);
  if (bucket.empty()) return "the bucket's name is missing";
  if (bucket.size() < kBucketLengthMin || bucket.size() > kBucketLengthMax)
    return fmt::format("bucket name '{}' has {} characters, not {} to {}", name, bucket.size(),
                       kBucketLengthMin, kBucketLengthMax);
  if (!std::ranges::all_of(bucket, allowed))
    return fmt::format("bucket name '{}' has other characters than lower-case letters, digits{}",
                       name, dots_allowed ? ", dots and hyphens" : " and hyphens");
  if (!IsLowerOrDigit(bucket.front()) || !IsLowerOrDigit(bucket.back()))
    return fmt::format("bucket name '{}' does not begin and end with a letter or digit", name);
  if (bucket.find("..") != std::string_view::npos ||
      (dots_allowed && IsIpV4Address(std::string(bucket))))
    return fmt::format("bucket name '{}' has two dots in a row or is an IP address", name);
  return {};
}

// "/a/b" to "a/b/". The error's detail is only the reason.
Result<std::string> NormalPrefix(std::string_view path) {
  path.remove_prefix(1);
  if (path.empty()) return std::string();
  if (path.ends_with('/')) path.remove_suffix(1);
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..")
      return Fail(Errc::kInvalid,
                  "PREFIX has an empty, '.' or '..' component, which no path can reach");
    begin = end + 1;
  }
  if (path.size() >= kKeyLengthMax)
    return Fail(Errc::kInvalid,
                fmt::format("PREFIX is longer than a key, {} bytes", kKeyLengthMax));
  return std::string(path) + "/";
}

}  // namespace

Result<MountSource> ParseMountSource(std::string_view source, std::string_view endpoint_option,
                                     std::string_view protocol) {
  if (source.find("://") != std::string_view::npos)
    return Wrong(source, "it is not a URL; the scheme belongs in -o endpoint=");
  const size_t separator = source.find(":/");
  if (separator == std::string_view::npos) return Wrong(source, "it has no ':/'");
  std::string_view bucket = source.substr(0, separator);
  const auto prefix = NormalPrefix(source.substr(separator + 1));
  if (!prefix) return Wrong(source, prefix.error().detail);

  Endpoint endpoint;
  if (endpoint_option.empty()) {
    const size_t dot = bucket.find('.');
    if (dot == std::string_view::npos)
      return Wrong(source, "it names no endpoint, and there is no -o endpoint=");
    auto authority = ParseAuthority(bucket.substr(dot + 1));
    if (!authority) return Wrong(source, authority.error().detail);
    endpoint.authority = *std::move(authority);
    bucket = bucket.substr(0, dot);
  } else {
    ASSIGN_OR_RETURN(endpoint, ParseEndpoint(endpoint_option));
    const std::string with_port = "." + endpoint.authority.Text();
    const std::string host_only = "." + endpoint.authority.host;
    if (bucket.ends_with(with_port)) {
      bucket.remove_suffix(with_port.size());
    } else if (bucket.ends_with(host_only)) {
      bucket.remove_suffix(host_only.size());
    } else if (protocol != "s3" && bucket.find('.') != std::string_view::npos) {
      return Wrong(source, "it names another endpoint than -o endpoint= does");
    }
  }
  const bool dots_allowed = protocol == "s3" && !endpoint_option.empty();
  if (const std::string why = WhyNotABucket(bucket, dots_allowed); !why.empty())
    return Wrong(source, why);
  return MountSource{.bucket = std::string(bucket),
                     .endpoint = endpoint.scheme + "://" + endpoint.authority.Text(),
                     .path_style = endpoint.authority.HasNoSubdomains(),
                     .prefix = *prefix};
}

}  // namespace shoal
