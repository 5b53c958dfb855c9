// Objects: get, put, delete and copy.
#include <algorithm>
#include <array>

#include "net/base64.h"
#include "origin/text_values.h"
#include "testing/origin_digest.h"
#include "testing/origin_documents.h"
#include "testing/origin_range.h"
#include "testing/origin_service.h"

namespace shoal::embedded {
namespace {

constexpr size_t kDeleteDocumentBytesMax = 4 << 20;
constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kOssKeyBytesMax = 1023;
constexpr size_t kS3KeyBytesMax = 1024;
constexpr size_t kMetadataBytesMax = 8 << 10;
// What is stored with an object, and how the answer spells it.
constexpr auto kStandardHeaders = std::to_array<std::pair<const char*, const char*>>(
    {{"content-type", "Content-Type"},
     {"cache-control", "Cache-Control"},
     {"content-disposition", "Content-Disposition"},
     {"content-encoding", "Content-Encoding"},
     {"content-language", "Content-Language"},
     {"expires", "Expires"}});

// "aws-chunked,gzip" to "gzip": the former is of the transfer, the latter of the object.
std::string WithoutAwsChunked(std::string value) {
  const size_t at = value.find("aws-chunked");
  if (at == std::string::npos) return value;
  value.erase(at, std::string_view("aws-chunked").size());
  const size_t first = value.find_first_not_of(", ");
  return first == std::string::npos ? "" : value.substr(first);
}

void AddRecordHeaders(const ObjectRecord& record, Dialect dialect, OriginAnswer& answer) {
  bool has_type = false;
  for (const auto& [name, value] : record.headers) {
    const auto* known =
        std::ranges::find(kStandardHeaders, name, &std::pair<const char*, const char*>::first);
    if (known == kStandardHeaders.end()) {
      answer.headers.emplace_back(std::string(VendorPrefix(dialect)) + name, value);
    } else {
      answer.headers.emplace_back(known->second, value);
      has_type |= name == "content-type";
    }
  }
  if (!has_type) answer.headers.emplace_back("Content-Type", "application/octet-stream");
}

ServiceResult<> CheckKey(const OriginRequest& request) {
  const bool is_oss = request.dialect == Dialect::kOss;
  if (request.key.find('\0') != std::string::npos ||
      request.key.size() > (is_oss ? kOssKeyBytesMax : kS3KeyBytesMax))
    return Refuse({400, is_oss ? "InvalidObjectName" : "KeyTooLongError",
                   "The specified object is not valid."});
  return {};
}

ServiceError NotReadable() {
  return {403, "InvalidObjectState", "The operation is not valid for the object's state."};
}

ServiceError PreconditionFailed() {
  return {412, "PreconditionFailed",
          "At least one of the preconditions you specified did not hold."};
}

}  // namespace

ServiceError NoSuchKey() {
  return {404, "NoSuchKey", "The specified key does not exist.", "0026-00000001"};
}

bool IsArchived(const ObjectRecord& record) {
  return record.storage_class.find("Archive") != std::string::npos;
}

ServiceResult<ObjectRecord> RecordFromHeaders(const OriginRequest& request) {
  RETURN_IF_ERROR(CheckKey(request));
  ObjectRecord record;
  for (const auto& [name, spelling] : kStandardHeaders) {
    const std::string value = WithoutAwsChunked(std::string(request.Header(name)));
    if (!value.empty()) record.headers.emplace_back(name, value);
  }
  const std::string vendor(VendorPrefix(request.dialect));
  size_t metadata_bytes = 0;
  for (const auto& [name, value] : request.headers) {
    if (!name.starts_with(vendor + "meta-")) continue;
    metadata_bytes += name.size() + value.size();
    record.headers.emplace_back(name.substr(vendor.size()), value);
  }
  if (metadata_bytes > kMetadataBytesMax)
    return Refuse({400, "MetadataTooLarge", "Your metadata headers exceed the maximum size."});
  if (const auto name = request.VendorHeader("storage-class"); !name.empty()) {
    record.storage_class = StorageClassFromName(name);
    if (record.storage_class.empty())
      return Refuse({400, "InvalidStorageClass", "The storage class you specified is not valid."});
  }
  return record;
}

ServiceResult<WriteCondition> ConditionFromHeaders(const OriginRequest& request) {
  WriteCondition condition;
  condition.must_be_new =
      request.Header("x-oss-forbid-overwrite") == "true" || request.Header("if-none-match") == "*";
  condition.etag = BareEtag(request.Header("if-match"));
  return condition;
}

ServiceError CommitError(const Error& error, const OriginRequest& request) {
  if (error.code != Errc::kChanged) return InternalError(error);
  if (request.Header("x-oss-forbid-overwrite") == "true")
    return {409, "FileAlreadyExists",
            "The object you specified already exists and can not be overwritten."};
  return PreconditionFailed();
}

void AddCrc64(std::optional<uint64_t> crc64, Dialect dialect, OriginAnswer& answer) {
  if (crc64 && dialect == Dialect::kOss)
    answer.headers.emplace_back("x-oss-hash-crc64ecma", std::to_string(*crc64));
}

ServiceResult<Sums> Receive(RequestBody& body, const StagedFile& staged) {
  RunningSums sums;
  std::vector<std::byte> piece(kPieceBytes);
  uint64_t received = 0;
  while (true) {
    ASSIGN_OR_RETURN(const size_t size, body.Read(piece));
    if (size == 0) return sums.Finish();
    received += size;
    if (received > kPutBytesMax)
      return Refuse(
          {400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size."});
    const auto bytes = std::span<const std::byte>(piece).first(size);
    sums.Add(bytes);
    if (const auto written = WriteAll(staged.file(), bytes); !written)
      return Refuse(InternalError(written.error()));
  }
}

ServiceResult<OriginAnswer> OriginService::Get(Bucket& bucket, const OriginRequest& request) {
  auto found = bucket.Find(request.key);
  if (!found && found.error().code == Errc::kNotFound) return Refuse(NoSuchKey());
  if (!found) return Refuse(InternalError(found.error()));
  const ObjectRecord& record = *found->record;
  const bool is_oss = request.dialect == Dialect::kOss;
  const int64_t modified = found->stamp.modified_ns / 1'000'000'000;
  const bool is_head = request.method == "HEAD";

  OriginAnswer answer;
  answer.headers = {{"ETag", QuotedEtag(request.dialect, record.etag)},
                    {"Last-Modified", HttpDate(modified)},
                    {"Accept-Ranges", "bytes"}};
  const int condition = CheckConditions(request, "", record.etag, modified);
  if (condition == 412) return Refuse(PreconditionFailed());
  if (condition == 304) {
    answer.status = 304;
    return answer;
  }
  if (IsArchived(record) && !is_head) return Refuse(NotReadable());
  if (is_oss)
    answer.headers.emplace_back(
        "x-oss-object-type", record.etag.find('-') == std::string::npos ? "Normal" : "Multipart");
  // S3 names only the classes that differ from the usual one.
  if (is_oss || record.storage_class != "Standard")
    answer.headers.emplace_back(std::string(VendorPrefix(request.dialect)) + "storage-class",
                                StorageClassName(request.dialect, record.storage_class));
  AddCrc64(record.crc64, request.dialect, answer);
  AddRecordHeaders(record, request.dialect, answer);
  const uint64_t size_bytes = found->stamp.size_bytes;
  const bool standard = !is_oss || request.Header("x-oss-range-behavior") == "standard";
  ASSIGN_OR_RETURN(const RangeAnswer chosen,
                   ChooseRange(request.Header("range"), size_bytes, standard));
  answer.status = chosen.status;
  if (chosen.status == 206)
    answer.headers.emplace_back("Content-Range", "bytes " + std::to_string(chosen.range.offset) +
                                                     "-" + std::to_string(chosen.range.end() - 1) +
                                                     "/" + std::to_string(size_bytes));
  answer.file =
      FileBody{std::move(found->file), found->stamp, chosen.range.offset, chosen.range.length};
  return answer;
}

ServiceResult<OriginAnswer> OriginService::Put(Bucket& bucket, const OriginRequest& request,
                                               RequestBody& body) {
  ASSIGN_OR_RETURN(ObjectRecord record, RecordFromHeaders(request));
  ASSIGN_OR_RETURN(const WriteCondition condition, ConditionFromHeaders(request));
  auto staged = bucket.Stage();
  if (!staged) return Refuse(InternalError(staged.error()));
  ASSIGN_OR_RETURN(const Sums sums, Receive(body, *staged));
  record.etag = sums.md5_hex;
  record.crc64 = sums.crc64;
  const auto done = bucket.Commit(*std::move(staged), request.key, record, condition);
  if (!done) return Refuse(CommitError(done.error(), request));
  OriginAnswer answer;
  answer.headers.emplace_back("ETag", QuotedEtag(request.dialect, record.etag));
  if (request.dialect == Dialect::kOss)
    answer.headers.emplace_back("Content-MD5", Base64(FromHex(record.etag)));
  AddCrc64(record.crc64, request.dialect, answer);
  return answer;
}

ServiceResult<OriginAnswer> OriginService::Delete(Bucket& bucket, const OriginRequest& request) {
  if (const auto removed = bucket.Remove(request.key); !removed)
    return Refuse(InternalError(removed.error()));
  return OriginAnswer{204};
}

ServiceResult<OriginAnswer> OriginService::DeleteMany(Bucket& bucket, const OriginRequest& request,
                                                      RequestBody& body) {
  ASSIGN_OR_RETURN(const std::string text, ReadAll(body, kDeleteDocumentBytesMax));
  ASSIGN_OR_RETURN(const DeleteRequest wanted, ParseDeleteRequest(text));
  for (const std::string& key : wanted.keys)
    if (const auto removed = bucket.Remove(key); !removed)
      return Refuse(InternalError(removed.error()));
  if (wanted.quiet && request.dialect == Dialect::kOss) return OriginAnswer{};
  const bool url_encoded =
      request.Query("encoding-type") == "url" || request.Header("encoding-type") == "url";
  return XmlAnswer(DeletedDocument(
      request.dialect, wanted.quiet ? std::vector<std::string>{} : wanted.keys, url_encoded));
}

ServiceResult<StoredObject> OriginService::FindCopySource(const OriginRequest& request) {
  const std::string_view header = request.VendorHeader("copy-source");
  auto source = PercentDecode(header.substr(0, header.find('?')), false);
  if (!source) return Refuse(InvalidArgument("The copy source is not a path."));
  if (source->starts_with('/')) source->erase(0, 1);
  const size_t slash = source->find('/');
  if (slash == std::string::npos) return Refuse(InvalidArgument("The copy source has no key."));
  ASSIGN_OR_RETURN(const OpenBucketPtr open, FindBucket(source->substr(0, slash)));
  auto found = open->bucket.Find(source->substr(slash + 1));
  if (!found && found.error().code == Errc::kNotFound) return Refuse(NoSuchKey());
  if (!found) return Refuse(InternalError(found.error()));
  if (IsArchived(*found->record)) return Refuse(NotReadable());
  const std::string prefix = std::string(VendorPrefix(request.dialect)) + "copy-source-";
  if (CheckConditions(request, prefix, found->record->etag,
                      found->stamp.modified_ns / 1'000'000'000) != 0)
    return Refuse(PreconditionFailed());
  return *std::move(found);
}

ServiceResult<OriginAnswer> OriginService::Copy(Bucket& bucket, const OriginRequest& request) {
  ASSIGN_OR_RETURN(const StoredObject source, FindCopySource(request));
  ASSIGN_OR_RETURN(ObjectRecord record, RecordFromHeaders(request));
  ASSIGN_OR_RETURN(const WriteCondition condition, ConditionFromHeaders(request));
  if (source.stamp.size_bytes > kPutBytesMax)
    return Refuse(
        {400, "InvalidRequest", "The copy source is larger than the maximum allowed size."});
  if (request.VendorHeader("metadata-directive") != "REPLACE")
    record.headers = source.record->headers;
  auto staged = bucket.Stage();
  if (!staged) return Refuse(InternalError(staged.error()));
  if (const auto copied = CopyBytes(source.file, 0, source.stamp.size_bytes, staged->file());
      !copied)
    return Refuse(InternalError(copied.error()));
  record.etag = source.record->etag;
  record.crc64 = source.record->crc64;
  // S3 makes a copy in one piece, and its ETag with it, however the source was uploaded.
  if (request.dialect == Dialect::kS3 && record.etag.find('-') != std::string::npos) {
    const auto sums = SumsOf(staged->file());
    if (!sums) return Refuse(InternalError(sums.error()));
    record.etag = sums->md5_hex;
    record.crc64 = sums->crc64;
  }
  const auto status = StatusOf(staged->file());
  const auto done = bucket.Commit(*std::move(staged), request.key, record, condition);
  if (!done) return Refuse(CommitError(done.error(), request));
  OriginAnswer answer = XmlAnswer(CopyDocument("CopyObjectResult", request.dialect, record.etag,
                                               status ? status->st_mtim.tv_sec : 0));
  answer.headers.emplace_back("ETag", QuotedEtag(request.dialect, record.etag));
  return answer;
}

}  // namespace shoal::embedded
