// What a request asks for. The names below are what statistics count, what fault scripts
// match, and (as `right`) what a credentials file can deny.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "testing/origin_message.h"

namespace shoal::embedded {

enum class Operation : uint8_t {
  kGet,
  kHead,
  kPut,
  kDelete,
  kCopy,
  kList,
  kStat,
  kInfo,
  kLocation,
  kHeadBucket,
  kCreateBucket,
  kListBuckets,
  kDeleteMany,
  kStartUpload,
  kUploadPart,
  kCopyPart,
  kCompleteUpload,
  kAbortUpload,
  kListParts,
  kListUploads,
};
inline constexpr size_t kOperationCount = 20;

struct OperationName {
  std::string_view name;
  std::string_view right;  // as OSS's access policies call it
};
inline constexpr std::array<OperationName, kOperationCount> kOperationNames = {{
    {"Get", "GetObject"},
    {"Head", "GetObject"},
    {"Put", "PutObject"},
    {"Delete", "DeleteObject"},
    {"Copy", "PutObject"},
    {"List", "ListObjects"},
    {"Stat", "GetBucketStat"},
    {"Info", "GetBucketInfo"},
    {"Location", "GetBucketLocation"},
    {"HeadBucket", "ListObjects"},
    {"CreateBucket", "PutBucket"},
    {"ListBuckets", "ListBuckets"},
    {"DeleteMany", "DeleteObject"},
    {"StartUpload", "PutObject"},
    {"UploadPart", "PutObject"},
    {"CopyPart", "PutObject"},
    {"CompleteUpload", "PutObject"},
    {"AbortUpload", "AbortMultipartUpload"},
    {"ListParts", "ListParts"},
    {"ListUploads", "ListMultipartUploads"},
}};

inline constexpr const OperationName& NameOf(Operation operation) {
  return kOperationNames[static_cast<size_t>(operation)];
}
std::optional<Operation> OperationNamed(std::string_view name);

// NotImplemented for what the services can and this server cannot; MethodNotAllowed.
ServiceResult<Operation> OperationOf(const OriginRequest& request);

}  // namespace shoal::embedded
