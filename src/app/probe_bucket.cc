#include "app/probe_bucket.h"

#include <fmt/format.h>

#include "base/log.h"

namespace shoal {
namespace {

std::string Meaning(Errc code, const OriginOptions& options) {
  const std::string& file = options.sts_file.empty() ? options.passwd_file : options.sts_file;
  switch (code) {
    case Errc::kDenied:
      return fmt::format("{} refuses the credentials in {} for bucket '{}'", options.endpoint, file,
                         options.bucket);
    case Errc::kUnreachable:
    case Errc::kTimedOut:
      return fmt::format("no usable answer from {}", options.endpoint);
    default:
      return fmt::format("bucket '{}' cannot be listed at {}", options.bucket, options.endpoint);
  }
}

}  // namespace

Result<std::string> ProbeBucket(ObjectStore& store, CredentialSource& credentials,
                                const OriginOptions& options, const std::string& prefix,
                                Deadline deadline) {
  RETURN_IF_ERROR(credentials.Current());
  const auto page = store.List(
      {.prefix = prefix, .delimiter = "/", .from = std::nullopt, .max_keys = 1}, deadline);
  if (!page)
    return Fail(page.error().code,
                Meaning(page.error().code, options) + ": " + page.error().detail);
  if (prefix.empty() || !page->objects.empty() || !page->common_prefixes.empty()) return "";
  const std::string_view key = std::string_view(prefix).substr(0, prefix.size() - 1);
  // One that cannot be asked for is no reason to refuse.
  if (store.Head(key, deadline))
    return Fail(Errc::kNotDirectory,
                fmt::format("'{}' in bucket '{}' is an object, and not a directory to mount",
                            log::Printable(key), options.bucket));
  return fmt::format("bucket '{}' holds nothing below '{}'; the mount is empty until it does",
                     options.bucket, log::Printable(prefix));
}

}  // namespace shoal
