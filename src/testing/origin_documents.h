// The XML documents of both dialects: what they are made of is here, how the two spell it
// is in the .cc. Formats: "ListObjects", "ListObjectsV2", "DeleteMultipleObjects", ... of
// the services' API references.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/origin_listing.h"
#include "testing/origin_message.h"
#include "testing/origin_uploads.h"

namespace shoal::embedded {

struct ListedObject {
  std::string key;
  std::string etag;  // bare
  std::string storage_class;
  uint64_t size_bytes = 0;
  int64_t modified_unix_seconds = 0;
};

struct ListAnswer {
  bool version_2 = false;
  bool url_encoded = false;
  bool with_owner = true;
  std::string bucket;
  KeyQuery query;
  std::string token;        // version 2, as sent
  std::string start_after;  // version 2
  KeyPage page;
  std::vector<ListedObject> objects;
};

// As the dialect writes it, with quotes: OSS in upper case, S3 in lower.
std::string QuotedEtag(Dialect dialect, std::string_view bare_etag);
// "Archive" is GLACIER in S3, and so on. To OSS's names: empty for a class nobody knows.
std::string StorageClassName(Dialect dialect, std::string_view oss_name);
std::string StorageClassFromName(std::string_view name);

std::string ErrorDocument(const OriginRequest& request, const ServiceError& error,
                          std::string_view request_id);
std::string ListDocument(Dialect dialect, const ListAnswer& answer);
std::string BucketsDocument(Dialect dialect, const std::vector<std::string>& names);
std::string StatDocument(uint64_t stored_bytes, uint64_t object_count, uint64_t upload_count);
std::string InfoDocument(const std::string& bucket);
std::string LocationDocument(Dialect dialect);
std::string CopyDocument(std::string_view root, Dialect dialect, std::string_view bare_etag,
                         int64_t modified_unix_seconds);
std::string StartUploadDocument(Dialect dialect, const std::string& bucket,
                                const UploadInfo& upload);
std::string CompleteUploadDocument(const OriginRequest& request, std::string_view bare_etag);
std::string PartsDocument(const OriginRequest& request, const std::vector<PartInfo>& parts,
                          uint32_t marker, size_t count_max);
std::string UploadsDocument(const OriginRequest& request, const std::vector<UploadInfo>& uploads,
                            bool truncated);
std::string DeletedDocument(Dialect dialect, const std::vector<std::string>& keys,
                            bool url_encoded);

struct DeleteRequest {
  std::vector<std::string> keys;
  bool quiet = false;
};
ServiceResult<DeleteRequest> ParseDeleteRequest(const std::string& text);
// Numbers and bare ETags of the parts to join, in the order given.
ServiceResult<std::vector<PartInfo>> ParseCompleteRequest(const std::string& text);

}  // namespace shoal::embedded
