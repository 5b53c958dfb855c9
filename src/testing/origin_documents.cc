#include "testing/origin_documents.h"

#include <algorithm>
#include <array>
#include <pugixml.hpp>
#include <sstream>

#include "testing/origin_range.h"

namespace shoal::embedded {
namespace {

constexpr const char* kS3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
constexpr const char* kOssNamespace = "http://doc.oss-cn-hangzhou.aliyuncs.com";
constexpr std::string_view kRegion = "oss-cn-hangzhou";
constexpr std::string_view kOwner = "shoal";
constexpr size_t kDeletedKeysMax = 1000;

struct ClassNames {
  std::string_view oss;
  std::string_view s3;
};
constexpr auto kClassNames = std::to_array<ClassNames>({{"Standard", "STANDARD"},
                                                        {"IA", "STANDARD_IA"},
                                                        {"Archive", "GLACIER"},
                                                        {"ColdArchive", "GLACIER"},
                                                        {"DeepColdArchive", "DEEP_ARCHIVE"}});

// One document: a root element and its children.
class Document {
 public:
  explicit Document(std::string_view root) {
    pugi::xml_node declaration = document_.append_child(pugi::node_declaration);
    declaration.append_attribute("version") = "1.0";
    declaration.append_attribute("encoding") = "UTF-8";
    root_ = document_.append_child(std::string(root).c_str());
  }
  Document(std::string_view root, Dialect dialect) : Document(root) {
    root_.append_attribute("xmlns") = dialect == Dialect::kOss ? kOssNamespace : kS3Namespace;
  }
  pugi::xml_node root() { return root_; }
  [[nodiscard]] std::string Print() const {
    std::ostringstream out;
    document_.save(out, "", pugi::format_raw, pugi::encoding_utf8);
    return out.str();
  }

 private:
  pugi::xml_document document_;
  pugi::xml_node root_;
};

pugi::xml_node Add(pugi::xml_node parent, const char* name, std::string_view text) {
  pugi::xml_node child = parent.append_child(name);
  child.text().set(std::string(text).c_str());
  return child;
}
void Add(pugi::xml_node parent, const char* name, uint64_t number) {
  Add(parent, name, std::to_string(number));
}
void AddFlag(pugi::xml_node parent, const char* name, bool flag) {
  Add(parent, name, flag ? "true" : "false");
}
void AddOwner(pugi::xml_node parent, const char* name) {
  pugi::xml_node owner = parent.append_child(name);
  Add(owner, "ID", kOwner);
  Add(owner, "DisplayName", kOwner);
}

std::string Encoded(bool url_encoded, std::string_view text) {
  return url_encoded ? PercentEncode(text, false) : std::string(text);
}

}  // namespace

std::string QuotedEtag(Dialect dialect, std::string_view bare_etag) {
  std::string quoted = "\"";
  for (const char c : bare_etag)
    quoted +=
        dialect == Dialect::kOss && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return quoted + "\"";
}

std::string StorageClassName(Dialect dialect, std::string_view oss_name) {
  if (dialect == Dialect::kOss) return std::string(oss_name);
  const auto found = std::ranges::find(kClassNames, oss_name, &ClassNames::oss);
  return std::string(found == kClassNames.end() ? "STANDARD" : found->s3);
}

std::string StorageClassFromName(std::string_view name) {
  for (const ClassNames& names : kClassNames)
    if (name == names.oss || name == names.s3) return std::string(names.oss);
  return {};
}

std::string ErrorDocument(const OriginRequest& request, const ServiceError& error,
                          std::string_view request_id) {
  const bool is_oss = request.dialect == Dialect::kOss;
  Document document("Error");
  pugi::xml_node root = document.root();
  Add(root, "Code", error.code);
  Add(root, "Message", error.message);
  if (!is_oss) Add(root, "Resource", request.encoded_path);
  Add(root, "RequestId", request_id);
  Add(root, "HostId", request.host);
  if (error.code == "NoSuchBucket") Add(root, "BucketName", request.bucket);
  if (error.code == "NoSuchKey") Add(root, "Key", request.key);
  for (const auto& [name, value] : error.details) Add(root, name.c_str(), value);
  if (is_oss && !error.ec.empty()) Add(root, "EC", error.ec);
  return document.Print();
}

std::string ListDocument(Dialect dialect, const ListAnswer& answer) {
  Document document("ListBucketResult", dialect);
  pugi::xml_node root = document.root();
  const auto encoded = [&](std::string_view text) { return Encoded(answer.url_encoded, text); };
  Add(root, "Name", answer.bucket);
  Add(root, "Prefix", encoded(answer.query.prefix));
  Add(root, "MaxKeys", answer.query.count_max);
  if (dialect == Dialect::kOss || !answer.query.delimiter.empty())
    Add(root, "Delimiter", encoded(answer.query.delimiter));
  if (answer.url_encoded) Add(root, "EncodingType", "url");
  AddFlag(root, "IsTruncated", answer.page.truncated);
  if (answer.version_2) {
    Add(root, "KeyCount", answer.page.keys.size() + answer.page.common_prefixes.size());
    if (!answer.token.empty()) Add(root, "ContinuationToken", answer.token);
    if (!answer.start_after.empty()) Add(root, "StartAfter", encoded(answer.start_after));
    // OSS encodes the token like the keys, S3 does not.
    if (answer.page.truncated)
      Add(root, "NextContinuationToken",
          Encoded(answer.url_encoded && dialect == Dialect::kOss,
                  PercentEncode(answer.page.last, false)));
  } else {
    Add(root, "Marker", encoded(answer.query.after));
    // S3 leaves it out where the last key says the same.
    if (answer.page.truncated && (dialect == Dialect::kOss || !answer.query.delimiter.empty()))
      Add(root, "NextMarker", encoded(answer.page.last));
  }
  for (const ListedObject& object : answer.objects) {
    pugi::xml_node contents = root.append_child("Contents");
    Add(contents, "Key", encoded(object.key));
    Add(contents, "LastModified", DocumentDate(object.modified_unix_seconds));
    Add(contents, "ETag", QuotedEtag(dialect, object.etag));
    if (dialect == Dialect::kOss)
      Add(contents, "Type", object.etag.find('-') == std::string::npos ? "Normal" : "Multipart");
    Add(contents, "Size", object.size_bytes);
    Add(contents, "StorageClass", StorageClassName(dialect, object.storage_class));
    if (answer.with_owner) AddOwner(contents, "Owner");
  }
  for (const std::string& prefix : answer.page.common_prefixes)
    Add(root.append_child("CommonPrefixes"), "Prefix", encoded(prefix));
  return document.Print();
}

std::string BucketsDocument(Dialect dialect, const std::vector<std::string>& names) {
  Document document("ListAllMyBucketsResult", dialect);
  AddOwner(document.root(), "Owner");
  pugi::xml_node buckets = document.root().append_child("Buckets");
  for (const std::string& name : names) {
    pugi::xml_node bucket = buckets.append_child("Bucket");
    Add(bucket, "Name", name);
    Add(bucket, "CreationDate", DocumentDate(0));
    if (dialect == Dialect::kOss) Add(bucket, "Location", kRegion);
  }
  return document.Print();
}

std::string StatDocument(uint64_t stored_bytes, uint64_t object_count, uint64_t upload_count) {
  Document document("BucketStat");
  Add(document.root(), "Storage", stored_bytes);
  Add(document.root(), "ObjectCount", object_count);
  Add(document.root(), "MultipartUploadCount", upload_count);
  return document.Print();
}

std::string InfoDocument(const std::string& bucket) {
  Document document("BucketInfo");
  pugi::xml_node node = document.root().append_child("Bucket");
  Add(node, "Name", bucket);
  Add(node, "Location", kRegion);
  Add(node, "CreationDate", DocumentDate(0));
  Add(node, "ExtranetEndpoint", "localhost");
  Add(node, "IntranetEndpoint", "localhost");
  Add(node, "StorageClass", "Standard");
  AddOwner(node, "Owner");
  Add(node.append_child("AccessControlList"), "Grant", "private");
  return document.Print();
}

std::string LocationDocument(Dialect dialect) {
  // OSS writes no namespace here; S3 leaves us-east-1 out.
  if (dialect == Dialect::kS3) return Document("LocationConstraint", dialect).Print();
  Document document("LocationConstraint");
  document.root().text().set(std::string(kRegion).c_str());
  return document.Print();
}

std::string CopyDocument(std::string_view root, Dialect dialect, std::string_view bare_etag,
                         int64_t modified_unix_seconds) {
  Document document(root, dialect);
  Add(document.root(), "LastModified", DocumentDate(modified_unix_seconds));
  Add(document.root(), "ETag", QuotedEtag(dialect, bare_etag));
  return document.Print();
}

std::string StartUploadDocument(Dialect dialect, const std::string& bucket,
                                const UploadInfo& upload) {
  Document document("InitiateMultipartUploadResult", dialect);
  Add(document.root(), "Bucket", bucket);
  Add(document.root(), "Key", upload.key);
  Add(document.root(), "UploadId", upload.id);
  return document.Print();
}

std::string CompleteUploadDocument(const OriginRequest& request, std::string_view bare_etag) {
  Document document("CompleteMultipartUploadResult", request.dialect);
  Add(document.root(), "Location", "http://" + request.host + request.encoded_path);
  Add(document.root(), "Bucket", request.bucket);
  Add(document.root(), "Key", request.key);
  Add(document.root(), "ETag", QuotedEtag(request.dialect, bare_etag));
  return document.Print();
}

std::string PartsDocument(const OriginRequest& request, const std::vector<PartInfo>& parts,
                          uint32_t marker, size_t count_max) {
  Document document("ListPartsResult", request.dialect);
  pugi::xml_node root = document.root();
  Add(root, "Bucket", request.bucket);
  Add(root, "Key", request.key);
  Add(root, "UploadId", request.QueryOr("uploadId", ""));
  Add(root, "StorageClass", StorageClassName(request.dialect, "Standard"));
  Add(root, "PartNumberMarker", marker);
  Add(root, "MaxParts", count_max);
  uint32_t last = marker;
  size_t count = 0;
  bool truncated = false;
  for (const PartInfo& part : parts) {
    if (part.number <= marker) continue;
    truncated = count == count_max;
    if (truncated) break;
    pugi::xml_node node = root.append_child("Part");
    Add(node, "PartNumber", part.number);
    Add(node, "LastModified", DocumentDate(part.stamp.modified_ns / 1'000'000'000));
    Add(node, "ETag", QuotedEtag(request.dialect, part.etag));
    Add(node, "Size", part.stamp.size_bytes);
    last = part.number;
    ++count;
  }
  Add(root, "NextPartNumberMarker", last);
  AddFlag(root, "IsTruncated", truncated);
  return document.Print();
}

std::string UploadsDocument(const OriginRequest& request, const std::vector<UploadInfo>& uploads,
                            bool truncated) {
  Document document("ListMultipartUploadsResult", request.dialect);
  pugi::xml_node root = document.root();
  const bool url_encoded = request.Query("encoding-type") == "url";
  Add(root, "Bucket", request.bucket);
  Add(root, "KeyMarker", Encoded(url_encoded, request.QueryOr("key-marker", "")));
  Add(root, "UploadIdMarker", request.QueryOr("upload-id-marker", ""));
  Add(root, "Prefix", Encoded(url_encoded, request.QueryOr("prefix", "")));
  if (url_encoded) Add(root, "EncodingType", "url");
  AddFlag(root, "IsTruncated", truncated);
  if (truncated && !uploads.empty()) {
    Add(root, "NextKeyMarker", Encoded(url_encoded, uploads.back().key));
    Add(root, "NextUploadIdMarker", uploads.back().id);
  }
  for (const UploadInfo& upload : uploads) {
    pugi::xml_node node = root.append_child("Upload");
    Add(node, "Key", Encoded(url_encoded, upload.key));
    Add(node, "UploadId", upload.id);
    Add(node, "StorageClass", StorageClassName(request.dialect, upload.record.storage_class));
    Add(node, "Initiated", DocumentDate(upload.started_unix_seconds));
  }
  return document.Print();
}

std::string DeletedDocument(Dialect dialect, const std::vector<std::string>& keys,
                            bool url_encoded) {
  Document document("DeleteResult", dialect);
  if (url_encoded) Add(document.root(), "EncodingType", "url");
  for (const std::string& key : keys)
    Add(document.root().append_child("Deleted"), "Key", Encoded(url_encoded, key));
  return document.Print();
}

ServiceResult<DeleteRequest> ParseDeleteRequest(const std::string& text) {
  const auto malformed = [] {
    return Refuse({400, "MalformedXML",
                   "The XML you provided was not well-formed or did not validate against our "
                   "published schema."});
  };
  pugi::xml_document document;
  // Keys may be made of spaces.
  if (!document.load_string(text.c_str(), pugi::parse_default | pugi::parse_ws_pcdata))
    return malformed();
  const pugi::xml_node root = document.child("Delete");
  DeleteRequest request;
  request.quiet = root.child("Quiet").text().as_bool();
  for (const pugi::xml_node object : root.children("Object"))
    request.keys.emplace_back(object.child("Key").text().get());
  if (request.keys.empty() || request.keys.size() > kDeletedKeysMax) return malformed();
  return request;
}

ServiceResult<std::vector<PartInfo>> ParseCompleteRequest(const std::string& text) {
  pugi::xml_document document;
  std::vector<PartInfo> parts;
  if (document.load_string(text.c_str()))
    for (const pugi::xml_node node : document.child("CompleteMultipartUpload").children("Part"))
      parts.push_back({node.child("PartNumber").text().as_uint(),
                       BareEtag(node.child("ETag").text().get()),
                       {}});
  if (parts.empty() || parts.size() > kPartNumberMax)
    return Refuse({400, "MalformedXML", "No parts to join are named."});
  return parts;
}

}  // namespace shoal::embedded
