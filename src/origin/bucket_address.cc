#include "origin/bucket_address.h"

#include <algorithm>

#include "net/ip_address.h"

namespace shoal {
namespace {

constexpr std::string_view kAlphanumeric =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool HasOnly(std::string_view text, std::string_view also) {
  return std::ranges::all_of(text, [&](char c) {
    return kAlphanumeric.find(c) != std::string_view::npos ||
           also.find(c) != std::string_view::npos;
  });
}

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsAddressOrLocalhost(std::string_view host) {
  return host.starts_with('[') || host == "localhost" || IsIpV4Address(std::string(host));
}

// "oss-cn-hangzhou-internal.aliyuncs.com", "vpc100-oss-cn-hangzhou.aliyuncs.com",
// "cn-hangzhou.oss.aliyuncs.com" -> "cn-hangzhou"
std::string OssRegion(std::string_view host) {
  constexpr std::string_view kPrefix = "oss-";
  constexpr std::string_view kInternal = "-internal";
  constexpr std::string_view kDefault = "cn-hangzhou";
  if (!host.ends_with(".aliyuncs.com")) return std::string(kDefault);
  const size_t dot = host.find('.');
  std::string_view label = host.substr(0, dot);
  if (label.ends_with(kInternal)) label.remove_suffix(kInternal.size());
  if (host.substr(dot + 1).starts_with("oss.")) return std::string(label);
  const size_t prefix = label.find(kPrefix);
  // The names for acceleration stand for every region.
  if (prefix == std::string_view::npos || label.substr(prefix).starts_with("oss-accelerate"))
    return std::string(kDefault);
  return std::string(label.substr(prefix + kPrefix.size()));
}

// "s3.eu-west-1.amazonaws.com", "s3-fips.dualstack.eu-west-1.amazonaws.com",
// "s3-eu-west-1.amazonaws.com", "vpce-1a2b.s3.eu-west-1.vpce.amazonaws.com" -> "eu-west-1"
std::string S3Region(std::string_view host) {
  constexpr std::string_view kOldPrefix = "s3-";
  constexpr std::string_view kDefault = "us-east-1";
  const size_t domain = host.find(".amazonaws.com");
  if (domain == std::string_view::npos) return std::string(kDefault);
  bool is_next = false;
  for (std::string_view rest = host.substr(0, domain); !rest.empty();) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(rest.size(), label.size() + 1));
    if (is_next && label != "dualstack") return std::string(label);
    if (label == "s3" || label == "s3-fips")
      is_next = true;
    else if (label.starts_with(kOldPrefix) && label != "s3-accelerate")
      return std::string(label.substr(kOldPrefix.size()));
  }
  return std::string(kDefault);
}

}  // namespace

Result<BucketAddress> AddressOf(const OriginOptions& options) {
  if (options.bucket.empty() || !HasOnly(options.bucket, "-._"))
    return Fail(Errc::kInvalid, "bucket name '" + options.bucket +
                                    "': only letters, digits, '-', '.' and '_' may be in it");
  const auto bad_endpoint = [&](const char* why) {
    return Fail(Errc::kInvalid, "endpoint '" + options.endpoint + "': " + why);
  };
  std::string_view rest = options.endpoint;
  std::string scheme = "https://";
  if (const size_t end = rest.find("://"); end != std::string_view::npos) {
    scheme = rest.substr(0, end + 3);
    rest.remove_prefix(end + 3);
  }
  if (scheme != "https://" && scheme != "http://")
    return bad_endpoint("its scheme is not http or https");
  if (rest.ends_with('/')) rest.remove_suffix(1);

  const size_t host_end = rest.starts_with('[') ? rest.find(']') + 1 : rest.find(':');
  const std::string_view host = rest.substr(0, host_end);
  const std::string_view port = host.size() == rest.size() ? "" : rest.substr(host.size());
  if (host.empty() || !HasOnly(host, host.starts_with('[') ? "[]:." : "-."))
    return bad_endpoint("it is not a host name or address");
  if (!port.empty() && !(port.starts_with(':') && IsPort(port.substr(1))))
    return bad_endpoint("what follows the host is not a port");

  if (options.addressing != "auto" && options.addressing != "virtual" &&
      options.addressing != "path")
    return Fail(Errc::kInvalid,
                "addressing '" + options.addressing + "' is not auto, virtual or path");
  // A certificate for *.s3.REGION.amazonaws.com is none for a.b.s3.REGION.amazonaws.com. OSS has
  // no such buckets.
  const bool fits_no_certificate = options.protocol == "s3" && scheme == "https://" &&
                                   options.bucket.find('.') != std::string::npos;
  const bool path_style =
      options.addressing == "path" ||
      (options.addressing == "auto" &&
       (options.path_style || IsAddressOrLocalhost(host) || fits_no_certificate));

  BucketAddress address;
  address.bucket = options.bucket;
  address.host = path_style ? std::string(rest) : options.bucket + "." + std::string(rest);
  address.origin = scheme + address.host;
  address.base_path = path_style ? "/" + options.bucket + "/" : "/";
  address.region = !options.region.empty()     ? options.region
                   : options.protocol == "oss" ? OssRegion(host)
                                               : S3Region(host);
  if (!HasOnly(address.region, "-"))
    return Fail(Errc::kInvalid,
                "region '" + options.region + "': only letters, digits and '-' may be in it");
  return address;
}

}  // namespace shoal
