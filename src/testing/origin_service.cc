#include "testing/origin_service.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "testing/origin_documents.h"
#include "testing/origin_range.h"

namespace shoal::embedded {
namespace {

// docs: 3 to 63 of a-z, 0-9, '-' (and '.' in S3), beginning and ending with one of the former.
bool IsBucketName(std::string_view name) {
  return name.size() >= 3 && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == name.npos &&
         name.front() != '-' && name.front() != '.' && name.back() != '-' && name.back() != '.';
}

}  // namespace

OriginAnswer XmlAnswer(std::string document) {
  OriginAnswer answer;
  answer.headers.emplace_back("Content-Type", "application/xml");
  answer.body = std::move(document);
  return answer;
}

ServiceResult<uint64_t> NumberFromQuery(const OriginRequest& request, std::string_view name,
                                        uint64_t fallback, uint64_t max) {
  const auto text = request.Query(name);
  if (!text) return fallback;
  uint64_t number = 0;
  const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (ec != std::errc{} || end != text->data() + text->size() || number > max)
    return Refuse({400,
                   "InvalidArgument",
                   "The value of " + std::string(name) + " is not a number from 0 to " +
                       std::to_string(max) + ".",
                   "",
                   {{"ArgumentName", std::string(name)}, {"ArgumentValue", std::string(*text)}}});
  return number;
}

ServiceResult<std::vector<std::string>> OriginService::BucketNames() const {
  std::vector<std::string> names;
  const auto entries = root_.List("");
  if (!entries) return Refuse(InternalError(entries.error()));
  for (const DirectoryEntry& entry : *entries)
    if (entry.is_directory && IsBucketName(entry.name)) names.push_back(entry.name);
  std::ranges::sort(names);
  return names;
}

ServiceResult<> OriginService::CreateBucket(const std::string& name) {
  if (!IsBucketName(name))
    return Refuse({400, "InvalidBucketName", "The specified bucket is not valid."});
  if (const auto made = root_.MakeParents(name + "/"); !made)
    return Refuse(InternalError(made.error()));
  return {};
}

ServiceResult<OriginService::OpenBucketPtr> OriginService::FindBucket(const std::string& name) {
  const auto missing = [] {
    return Refuse({404, "NoSuchBucket", "The specified bucket does not exist.", "0015-00000101"});
  };
  if (!IsBucketName(name)) return missing();
  auto directory = root_.OpenAt(name, O_PATH | O_DIRECTORY);
  if (!directory && IsMissing(directory.error())) return missing();
  if (!directory) return Refuse(InternalError(directory.error()));
  const auto status = StatusOf(*directory);
  if (!status) return Refuse(InternalError(status.error()));
  // Opened under the lock, because it clears away what an earlier process left: a second
  // opening would clear away what this one is writing.
  const MutexLock lock(mutex_);
  OpenBucketPtr& kept = open_[name];
  if (!kept || kept->inode != status->st_ino) {
    auto opened =
        std::make_shared<OpenBucket>(name, FilesBelow(*std::move(directory)), status->st_ino);
    if (const auto recovered = opened->bucket.Recover(); !recovered)
      return Refuse(InternalError(recovered.error()));
    kept = std::move(opened);
  }
  return kept;
}

ServiceResult<OriginAnswer> OriginService::Handle(Operation operation, const OriginRequest& request,
                                                  RequestBody& body) {
  if (operation == Operation::kListBuckets) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, BucketNames());
    return XmlAnswer(BucketsDocument(request.dialect, names));
  }
  if (operation == Operation::kCreateBucket) {
    RETURN_IF_ERROR(CreateBucket(request.bucket));
    return OriginAnswer{200, {{"Location", "/" + request.bucket}}};
  }
  ASSIGN_OR_RETURN(const OpenBucketPtr open, FindBucket(request.bucket));
  Bucket& bucket = open->bucket;
  switch (operation) {
    case Operation::kGet:
    case Operation::kHead:
      return Get(bucket, request);
    case Operation::kPut:
      return Put(bucket, request, body);
    case Operation::kDelete:
      return Delete(bucket, request);
    case Operation::kCopy:
      return Copy(bucket, request);
    case Operation::kList:
      return List(bucket, request);
    case Operation::kStat:
      return Stat(*open);
    case Operation::kInfo:
      return XmlAnswer(InfoDocument(bucket.name()));
    case Operation::kLocation:
      return XmlAnswer(LocationDocument(request.dialect));
    case Operation::kHeadBucket:
      return OriginAnswer{};
    case Operation::kDeleteMany:
      return DeleteMany(bucket, request, body);
    case Operation::kStartUpload:
      return StartUpload(*open, request);
    case Operation::kUploadPart:
      return UploadPart(*open, request, body);
    case Operation::kCopyPart:
      return CopyPart(*open, request);
    case Operation::kCompleteUpload:
      return CompleteUpload(*open, request, body);
    case Operation::kAbortUpload:
      return AbortUpload(*open, request);
    case Operation::kListParts:
      return ListParts(*open, request);
    case Operation::kListUploads:
      return ListUploads(*open, request);
    case Operation::kListBuckets:
    case Operation::kCreateBucket:
      break;  // answered above
  }
  return Refuse({500, "InternalError", "An operation without a handler."});
}

}  // namespace shoal::embedded
