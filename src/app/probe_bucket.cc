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
      return fmt::format("{} does not list bucket '{}'", options.endpoint, options.bucket);
  }
}

}  // namespace

Result<> ProbeBucket(ObjectStore& store, CredentialSource& credentials,
                     const OriginOptions& options, const std::string& prefix, Deadline deadline) {
  RETURN_IF_ERROR(credentials.Current());
  const auto page = store.List(
      {.prefix = prefix, .delimiter = "/", .from = std::nullopt, .max_keys = 1}, deadline);
  if (!page)
    return Fail(page.error().code,
                Meaning(page.error().code, options) + ": " + page.error().detail);
  if (!prefix.empty() && page->objects.empty() && page->common_prefixes.empty())
    log::Warn("bucket '{}' holds nothing below '{}'", options.bucket, log::Printable(prefix));
  return {};
}

}  // namespace shoal
