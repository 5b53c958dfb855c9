// Multipart uploads.
#include <algorithm>

#include "testing/origin_digest.h"
#include "testing/origin_documents.h"
#include "testing/origin_range.h"
#include "testing/origin_service.h"

namespace shoal::embedded {
namespace {

constexpr size_t kCompleteDocumentBytesMax = 4 << 20;
constexpr uint64_t kListedMax = 1000;
// Every part but the last.
constexpr uint64_t kOssPartBytesMin = 100 << 10;
constexpr uint64_t kS3PartBytesMin = 5 << 20;

ServiceError NoSuchUpload() {
  return {404, "NoSuchUpload",
          "The specified upload does not exist. The upload ID may be invalid, or the upload may "
          "have been aborted or completed."};
}

ServiceResult<UploadInfo> FindUpload(const Uploads& uploads, const OriginRequest& request) {
  auto found = uploads.Find(std::string(request.QueryOr("uploadId", "")), request.key);
  if (found) return *std::move(found);
  if (found.error().code == Errc::kUnreachable) return Refuse(InternalError(found.error()));
  return Refuse(NoSuchUpload());
}

ServiceResult<uint32_t> PartNumber(const OriginRequest& request) {
  ASSIGN_OR_RETURN(const uint64_t number,
                   NumberFromQuery(request, "partNumber", 0, kPartNumberMax));
  if (number == 0)
    return Refuse(InvalidArgument("Part number must be an integer between 1 and 10000."));
  return static_cast<uint32_t>(number);
}

// The parts that `wanted` names, with their sizes; the services' refusals otherwise.
ServiceResult<std::vector<PartInfo>> ChooseParts(const std::vector<PartInfo>& wanted,
                                                 const std::vector<PartInfo>& present,
                                                 uint64_t part_bytes_min) {
  std::vector<PartInfo> chosen;
  for (const PartInfo& part : wanted) {
    if (!chosen.empty() && chosen.back().number >= part.number)
      return Refuse({400, "InvalidPartOrder", "The list of parts was not in ascending order."});
    const auto found = std::ranges::find_if(present, [&](const PartInfo& each) {
      return each.number == part.number && each.etag == part.etag;
    });
    if (found == present.end())
      return Refuse({400, "InvalidPart",
                     "One or more of the specified parts could not be found or the specified "
                     "entity tag might not have matched the part's entity tag."});
    if (!chosen.empty() && chosen.back().stamp.size_bytes < part_bytes_min)
      return Refuse({400, "EntityTooSmall",
                     "Your proposed upload is smaller than the minimum allowed size."});
    chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace

ServiceResult<OriginAnswer> OriginService::StartUpload(OpenBucket& open,
                                                       const OriginRequest& request) {
  ASSIGN_OR_RETURN(const ObjectRecord record, RecordFromHeaders(request));
  const auto id = open.uploads.Start(request.key, record);
  if (!id) return Refuse(InternalError(id.error()));
  return XmlAnswer(
      StartUploadDocument(request.dialect, request.bucket, {*id, request.key, record, 0}));
}

ServiceResult<OriginAnswer> OriginService::UploadPart(OpenBucket& open,
                                                      const OriginRequest& request,
                                                      RequestBody& body) {
  ASSIGN_OR_RETURN(const uint32_t number, PartNumber(request));
  ASSIGN_OR_RETURN(const UploadInfo upload, FindUpload(open.uploads, request));
  auto staged = open.bucket.Stage();
  if (!staged) return Refuse(InternalError(staged.error()));
  ASSIGN_OR_RETURN(const Sums sums, Receive(body, *staged));
  if (const auto added = open.uploads.AddPart(upload.id, number, sums.md5_hex, *std::move(staged));
      !added)
    return Refuse(InternalError(added.error()));
  OriginAnswer answer{200, {{"ETag", QuotedEtag(request.dialect, sums.md5_hex)}}};
  AddCrc64(sums.crc64, request.dialect, answer);
  return answer;
}

ServiceResult<OriginAnswer> OriginService::CopyPart(OpenBucket& open,
                                                    const OriginRequest& request) {
  ASSIGN_OR_RETURN(const uint32_t number, PartNumber(request));
  ASSIGN_OR_RETURN(const UploadInfo upload, FindUpload(open.uploads, request));
  ASSIGN_OR_RETURN(const StoredObject source, FindCopySource(request));
  ASSIGN_OR_RETURN(const RangeAnswer chosen,
                   ChooseRange(request.VendorHeader("copy-source-range"), source.stamp.size_bytes,
                               request.dialect == Dialect::kS3));
  if (chosen.range.length > kPutBytesMax)
    return Refuse(
        {400, "InvalidRequest", "The copy source is larger than the maximum allowed size."});
  auto staged = open.bucket.Stage();
  if (!staged) return Refuse(InternalError(staged.error()));
  if (const auto copied =
          CopyBytes(source.file, chosen.range.offset, chosen.range.length, staged->file());
      !copied)
    return Refuse(InternalError(copied.error()));
  const auto sums = SumsOf(staged->file());
  if (!sums) return Refuse(InternalError(sums.error()));
  const std::string& etag = sums->md5_hex;
  const auto status = StatusOf(staged->file());
  if (const auto added = open.uploads.AddPart(upload.id, number, etag, *std::move(staged)); !added)
    return Refuse(InternalError(added.error()));
  OriginAnswer answer = XmlAnswer(
      CopyDocument("CopyPartResult", request.dialect, etag, status ? status->st_mtim.tv_sec : 0));
  answer.headers.emplace_back("ETag", QuotedEtag(request.dialect, etag));
  return answer;
}

ServiceResult<OriginAnswer> OriginService::CompleteUpload(OpenBucket& open,
                                                          const OriginRequest& request,
                                                          RequestBody& body) {
  ASSIGN_OR_RETURN(const UploadInfo upload, FindUpload(open.uploads, request));
  ASSIGN_OR_RETURN(const WriteCondition condition, ConditionFromHeaders(request));
  const auto present = open.uploads.Parts(upload.id);
  if (!present) return Refuse(InternalError(present.error()));
  ASSIGN_OR_RETURN(const std::string text, ReadAll(body, kCompleteDocumentBytesMax));
  std::vector<PartInfo> wanted = *present;
  if (request.Header("x-oss-complete-all") != "yes") {
    ASSIGN_OR_RETURN(wanted, ParseCompleteRequest(text));
  }
  ASSIGN_OR_RETURN(
      const std::vector<PartInfo> chosen,
      ChooseParts(wanted, *present,
                  request.dialect == Dialect::kOss ? kOssPartBytesMin : kS3PartBytesMin));
  const auto record = open.uploads.Complete(upload, chosen, condition);
  if (!record) return Refuse(CommitError(record.error(), request));
  OriginAnswer answer = XmlAnswer(CompleteUploadDocument(request, record->etag));
  answer.headers.emplace_back("ETag", QuotedEtag(request.dialect, record->etag));
  AddCrc64(record->crc64, request.dialect, answer);
  return answer;
}

ServiceResult<OriginAnswer> OriginService::AbortUpload(OpenBucket& open,
                                                       const OriginRequest& request) {
  ASSIGN_OR_RETURN(const UploadInfo upload, FindUpload(open.uploads, request));
  if (const auto aborted = open.uploads.Abort(upload.id); !aborted)
    return Refuse(InternalError(aborted.error()));
  return OriginAnswer{204};
}

ServiceResult<OriginAnswer> OriginService::ListParts(OpenBucket& open,
                                                     const OriginRequest& request) {
  ASSIGN_OR_RETURN(const UploadInfo upload, FindUpload(open.uploads, request));
  ASSIGN_OR_RETURN(const uint64_t marker,
                   NumberFromQuery(request, "part-number-marker", 0, UINT32_MAX));
  ASSIGN_OR_RETURN(const uint64_t count,
                   NumberFromQuery(request, "max-parts", kListedMax, INT32_MAX));
  const auto parts = open.uploads.Parts(upload.id);
  if (!parts) return Refuse(InternalError(parts.error()));
  return XmlAnswer(
      PartsDocument(request, *parts, static_cast<uint32_t>(marker), std::min(count, kListedMax)));
}

ServiceResult<OriginAnswer> OriginService::ListUploads(OpenBucket& open,
                                                       const OriginRequest& request) {
  ASSIGN_OR_RETURN(const uint64_t count,
                   NumberFromQuery(request, "max-uploads", kListedMax, INT32_MAX));
  const std::string_view key_marker = request.QueryOr("key-marker", "");
  const std::string_view id_marker = request.QueryOr("upload-id-marker", "");
  std::vector<UploadInfo> shown;
  bool truncated = false;
  auto uploads = open.uploads.All();
  if (!uploads) return Refuse(InternalError(uploads.error()));
  for (UploadInfo& upload : *uploads) {
    if (!upload.key.starts_with(request.QueryOr("prefix", ""))) continue;
    const bool is_after = upload.key > key_marker ||
                          (upload.key == key_marker && !id_marker.empty() && upload.id > id_marker);
    if (!key_marker.empty() && !is_after) continue;
    truncated = shown.size() == std::min(count, kListedMax);
    if (truncated) break;
    shown.push_back(std::move(upload));
  }
  return XmlAnswer(UploadsDocument(request, shown, truncated));
}

}  // namespace shoal::embedded
