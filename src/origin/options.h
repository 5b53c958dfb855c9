// Where the bucket is, and how to speak to it.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "base/option.h"

namespace shoal {

struct OriginOptions {
  // From SOURCE and -o endpoint=; not options of their own.
  std::string bucket;
  std::string endpoint;     // "https://oss-cn-hangzhou.aliyuncs.com", "http://127.0.0.1:9000"
  bool path_style = false;  // set when the endpoint is an IP address or localhost
  // Nor is this: files of credentials and authorities that are not to be had yet are waited for, by
  // requests that fail meanwhile.
  bool files_may_be_missing = false;

  std::string protocol = "oss";
  std::string passwd_file;
  std::string sts_file;
  std::string signature_version = "v4";
  std::string addressing = "auto";
  std::string region;
  std::string ca_file;
  bool verify_certificate = true;
  uint64_t connect_timeout_seconds = 5;
  uint64_t request_deadline_seconds = 30;
  uint64_t connection_count_max = 64;
};

inline constexpr auto kOriginOptions = std::tuple{
    Option{"protocol", &OriginOptions::protocol, Unit::kNone, "Protocol of the bucket: oss or s3"},
    Option{"passwd_file", &OriginOptions::passwd_file, Unit::kPath,
           "File with AccessKeyId:AccessKeySecret, mode 600"},
    Option{"g_oss_STSFile", &OriginOptions::sts_file, Unit::kPath,
           "JSON file with temporary credentials, mode 600; read again when it changes"},
    Option{"signature_version", &OriginOptions::signature_version, Unit::kNone,
           "Signature of OSS requests: v4 or v1"},
    Option{"addressing", &OriginOptions::addressing, Unit::kNone,
           "Where the bucket's name goes: virtual (host name), path, or auto (path when the "
           "endpoint is an IP address or localhost, and over HTTPS for S3 buckets with dots)"},
    Option{"region", &OriginOptions::region, Unit::kNone,
           "Region to sign for; by default taken from the endpoint's name"},
    Option{"ca_file", &OriginOptions::ca_file, Unit::kPath,
           "PEM file of the authorities to trust instead of the system's"},
    Option{"verify_certificate", &OriginOptions::verify_certificate, Unit::kNone,
           "Refuse an HTTPS endpoint whose certificate does not verify"},
    Option{"connect_timeout", &OriginOptions::connect_timeout_seconds, Unit::kSeconds,
           "Longest wait for a connection"},
    Option{"request_deadline", &OriginOptions::request_deadline_seconds, Unit::kSeconds,
           "Longest wait for one answer, retries included; an attempt that brings nothing for a "
           "third of it, and for 10 s at least, is given up"},
    Option{"max_connections", &OriginOptions::connection_count_max, Unit::kCount,
           "Most connections to the endpoint at one time"},
};

// Of a key, and of a prefix to list. OSS says so of object names (1 to 1,023 bytes) and of `prefix`
// (less than 1,024), S3 of key names (at most 1,024 bytes of UTF-8). What is longer is refused.
[[nodiscard]] inline uint64_t KeyBytesMax(const OriginOptions& options) {
  return options.protocol == "s3" ? 1024 : 1023;
}

}  // namespace shoal
