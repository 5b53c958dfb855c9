#include "testing/origin_operation.h"

#include <algorithm>

namespace shoal::embedded {
namespace {

// Sub-resources of the real services that would otherwise be taken for a plain request.
constexpr auto kOutside = std::to_array<std::string_view>(
    {"acl",        "policy",       "tagging",    "lifecycle",   "cors",        "versioning",
     "versions",   "website",      "encryption", "logging",     "symlink",     "append",
     "restore",    "torrent",      "select",     "retention",   "worm",        "inventory",
     "referer",    "callback",     "legal-hold", "object-lock", "replication", "notification",
     "attributes", "x-oss-process"});

ServiceResult<Operation> OfBucket(const OriginRequest& request) {
  const std::string& method = request.method;
  if (method == "GET") {
    if (request.Query("stat")) return Operation::kStat;
    if (request.Query("bucketInfo")) return Operation::kInfo;
    if (request.Query("location")) return Operation::kLocation;
    if (request.Query("uploads")) return Operation::kListUploads;
    return Operation::kList;
  }
  if (method == "HEAD") return Operation::kHeadBucket;
  if (method == "PUT") return Operation::kCreateBucket;
  if (method == "POST" && request.Query("delete")) return Operation::kDeleteMany;
  return Refuse({501, "NotImplemented", "A " + method + " of a bucket is not implemented."});
}

}  // namespace

std::optional<Operation> OperationNamed(std::string_view name) {
  const auto found = std::ranges::find(kOperationNames, name, &OperationName::name);
  if (found == kOperationNames.end()) return std::nullopt;
  return static_cast<Operation>(found - kOperationNames.begin());
}

ServiceResult<Operation> OperationOf(const OriginRequest& request) {
  const std::string& method = request.method;
  for (const auto& [name, value] : request.query)
    if (std::ranges::find(kOutside, name) != kOutside.end())
      return Refuse({501, "NotImplemented", "The sub-resource " + name + " is not implemented."});
  if (request.bucket.empty()) {
    if (method == "GET") return Operation::kListBuckets;
    return Refuse({405, "MethodNotAllowed", "The service itself can only be listed."});
  }
  if (request.key.empty()) return OfBucket(request);
  const bool in_upload = request.Query("uploadId").has_value();
  if (method == "GET") return in_upload ? Operation::kListParts : Operation::kGet;
  if (method == "HEAD") return Operation::kHead;
  if (method == "PUT") {
    const bool is_copy = !request.VendorHeader("copy-source").empty();
    if (in_upload) return is_copy ? Operation::kCopyPart : Operation::kUploadPart;
    return is_copy ? Operation::kCopy : Operation::kPut;
  }
  if (method == "DELETE") return in_upload ? Operation::kAbortUpload : Operation::kDelete;
  if (method == "POST" && request.Query("uploads")) return Operation::kStartUpload;
  if (method == "POST" && in_upload) return Operation::kCompleteUpload;
  return Refuse({405, "MethodNotAllowed", "The specified method is not allowed here."});
}

}  // namespace shoal::embedded
