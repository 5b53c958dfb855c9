// ListObjects in both versions, and GetBucketStat.
#include "origin/text_values.h"
#include "testing/origin_documents.h"
#include "testing/origin_range.h"
#include "testing/origin_service.h"

namespace shoal::embedded {
namespace {

constexpr uint64_t kPageMax = 1000;
constexpr uint64_t kOssPageDefault = 100;
constexpr size_t kOssPrefixBytesMax = 1023;

NextKey KeysOf(KeyIndex::Cursor& cursor) {
  return [&cursor](std::string_view from) { return cursor.AtOrAfter(from); };
}

}  // namespace

ServiceResult<OriginAnswer> OriginService::List(Bucket& bucket, const OriginRequest& request) {
  const bool is_oss = request.dialect == Dialect::kOss;
  ListAnswer answer;
  answer.bucket = bucket.name();
  answer.version_2 = request.Query("list-type") == "2";
  answer.url_encoded = request.Query("encoding-type") == "url";
  answer.with_owner = !answer.version_2 || request.Query("fetch-owner") == "true";
  answer.query.prefix = request.QueryOr("prefix", "");
  if (is_oss && answer.query.prefix.size() > kOssPrefixBytesMax)
    return Refuse(InvalidArgument("The length of prefix must be less than 1024."));
  answer.query.delimiter = request.QueryOr("delimiter", "");
  // OSS refuses a larger page than 1000, S3 answers with 1000.
  ASSIGN_OR_RETURN(const uint64_t count,
                   NumberFromQuery(request, "max-keys", is_oss ? kOssPageDefault : kPageMax,
                                   is_oss ? kPageMax : INT32_MAX));
  answer.query.count_max = std::min(count, kPageMax);
  if (answer.version_2) {
    answer.start_after = request.QueryOr("start-after", "");
    answer.token = request.QueryOr("continuation-token", "");
    const auto after = PercentDecode(answer.token, false);
    if (!after) return Refuse(InvalidArgument("The continuation token provided is incorrect."));
    answer.query.after = answer.token.empty() ? answer.start_after : *after;
  } else {
    answer.query.after = request.QueryOr("marker", "");
  }
  KeyIndex::Cursor cursor(bucket.index());
  answer.page = ListKeys(KeysOf(cursor), answer.query);
  if (cursor.trouble()) return Refuse(InternalError(*cursor.trouble()));
  for (const std::string& key : answer.page.keys) {
    const auto object = bucket.Find(key);
    if (!object && IsMissing(object.error())) continue;  // removed since
    if (!object) return Refuse(InternalError(object.error()));
    answer.objects.push_back({key, object->record->etag, object->record->storage_class,
                              object->stamp.size_bytes, object->stamp.modified_ns / 1'000'000'000});
  }
  return XmlAnswer(ListDocument(request.dialect, answer));
}

ServiceResult<OriginAnswer> OriginService::Stat(OpenBucket& open) {
  uint64_t stored_bytes = 0;
  uint64_t object_count = 0;
  KeyIndex::Cursor cursor(open.bucket.index());
  for (auto key = cursor.AtOrAfter(""); key; key = cursor.AtOrAfter(*key + '\0')) {
    const auto size_bytes = open.bucket.SizeOf(*key);
    if (!size_bytes && IsMissing(size_bytes.error())) continue;  // removed since
    if (!size_bytes) return Refuse(InternalError(size_bytes.error()));
    stored_bytes += *size_bytes;
    ++object_count;
  }
  if (cursor.trouble()) return Refuse(InternalError(*cursor.trouble()));
  const auto uploads = open.uploads.All();
  if (!uploads) return Refuse(InternalError(uploads.error()));
  return XmlAnswer(StatDocument(stored_bytes, object_count, uploads->size()));
}

}  // namespace shoal::embedded
