#include "origin/http_object_store.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "net/base64.h"
#include "origin/error_document.h"
#include "origin/list_document.h"
#include "origin/text_values.h"

namespace shoal {
namespace {

// A store that asks for more than this is not waited for; deadlines are shorter anyway.
constexpr Duration kRetryAfterMax = std::chrono::minutes(5);

std::string_view Header(const HttpHead& head, std::string_view name) {
  const auto found = head.headers.find(name);
  return found == head.headers.end() ? std::string_view() : std::string_view(found->second);
}

// OSS tells that of the whole object with any range of it. With a link it is the link's own.
std::optional<uint64_t> Crc64Of(const HttpHead& head) {
  if (Header(head, "x-oss-object-type") == "Symlink") return std::nullopt;
  return ParseNumber(Header(head, "x-oss-hash-crc64ecma"));
}

// OSS and S3 name their headers alike, but for the prefix.
std::string_view VendorHeader(const HttpHead& head, std::string_view suffix) {
  for (const std::string_view prefix : {"x-oss-", "x-amz-"}) {
    const auto value = Header(head, std::string(prefix).append(suffix));
    if (!value.empty()) return value;
  }
  return {};
}

auto Wrong(std::string what) {
  return Fail(Errc::kUnreachable, std::move(what));
}

// What the store's own support asks for; nothing if there was no answer.
std::string AnswerOf(const HttpHead& head) {
  if (head.status == 0) return "";
  const std::string_view id = VendorHeader(head, "request-id");
  return fmt::format(" (HTTP {}{}{})", head.status, id.empty() ? "" : ", request ",
                     log::Printable(id));
}

auto WrongAnswer(const Operation& operation, const HttpHead& head, std::string_view what) {
  return Wrong(Describe(operation, fmt::format("answered wrongly: {}{}", what, AnswerOf(head))));
}

// Passes on `size_bytes` and no more.
class ExactSink final : public ByteSink {
 public:
  ExactSink(ByteSink& next, uint64_t size_bytes) : next_(next), missing_bytes_(size_bytes) {}
  bool Append(std::span<const std::byte> bytes) override {
    if (bytes.size() > missing_bytes_) {
      overflowed_ = true;
      return false;
    }
    missing_bytes_ -= bytes.size();
    return next_.Append(bytes);
  }
  std::span<std::byte> Room() override { return next_.Room(); }
  [[nodiscard]] uint64_t missing_bytes() const { return missing_bytes_; }
  [[nodiscard]] bool overflowed() const { return overflowed_; }

 private:
  ByteSink& next_;
  uint64_t missing_bytes_;
  bool overflowed_ = false;
};

Result<> CheckRange(const HttpHead& head, const ObjectVersion& version, ByteRange range) {
  const std::string_view etag = Header(head, "etag");
  if (!etag.empty() && etag != version.etag) return Wrong("another ETag than was asked for");
  const std::string_view length = Header(head, "content-length");
  if (!length.empty() && ParseNumber(length) != range.length)
    return Wrong("Content-Length " + std::string(length) + " for " + std::to_string(range.length) +
                 " bytes");
  const bool is_whole = range == ByteRange{0, version.size_bytes} && !length.empty();
  if (head.status == 200 && !is_whole) return Wrong("the whole object for a range");
  if (head.status != 200 && head.status != 206) return Wrong("an unexpected status");
  const auto sent = ParseContentRange(Header(head, "content-range"));
  if (head.status == 206 &&
      (!sent || sent->first != range.offset || sent->last != range.end() - 1 ||
       sent->object_size_bytes.value_or(version.size_bytes) != version.size_bytes))
    return Wrong("Content-Range '" + std::string(Header(head, "content-range")) + "' for " +
                 std::to_string(range.length) + " bytes at " + std::to_string(range.offset));
  // A proxy that drops it may have dropped If-Match as well, and the bytes be another version's.
  if (etag.empty() && !version.etag.empty()) return Wrong("no ETag");
  return {};
}

Result<ObjectInfo> InfoOf(std::string_view key, const HttpHead& head) {
  const auto size_bytes = ParseNumber(Header(head, "content-length"));
  const auto modified = ParseHttpDate(std::string(Header(head, "last-modified")));
  const std::string_view etag = Header(head, "etag");
  if (head.status != 200) return Wrong("an unexpected status");
  if (!size_bytes || *size_bytes > kObjectBytesMax)
    return Wrong("its Content-Length is no size of an object");
  if (etag.empty()) return Wrong("no ETag");
  if (!modified) return Wrong("no Last-Modified");
  return ObjectInfo{
      .version = {.key = std::string(key), .etag = std::string(etag), .size_bytes = *size_bytes},
      .modified_unix_seconds = *modified,
      .storage_class =
          ParseStorageClass(VendorHeader(head, "storage-class"), VendorHeader(head, "restore"))};
}

// Sends the body of a success where `accept` says, and keeps the document of a failure.
class StoreReceiver final : public HttpReceiver {
 public:
  // The head of the answer goes to `head`.
  StoreReceiver(const std::function<Result<ByteSink*>(const HttpHead&)>& accept, HttpHead& head)
      : accept_(accept), head_(head) {}

  ByteSink* Begin(HttpHead head) override {
    head_ = std::move(head);
    if (failed()) return &document_;
    const auto sink = accept_(head_);
    if (sink) return *sink;
    wrong_ = sink.error().detail;
    return nullptr;
  }
  [[nodiscard]] bool failed() const { return head_.status >= 300; }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  [[nodiscard]] ErrorDocument document() const {
    // OSS sends the error document of a HEAD, which has no body, as base64 in a header.
    ErrorDocument document = ParseErrorDocument(
        document_.text().empty() ? FromBase64(Header(head_, "x-oss-err")).value_or("")
                                 : document_.text());
    if (document.code.empty()) document.code = Header(head_, "x-oss-ec");
    if (document.request_id.empty()) document.request_id = VendorHeader(head_, "request-id");
    document.server = Header(head_, "server");
    return document;
  }

 private:
  const std::function<Result<ByteSink*>(const HttpHead&)>& accept_;
  HttpHead& head_;
  std::string wrong_;
  DocumentSink document_{kErrorDocumentBytesMax};
};

}  // namespace

struct HttpObjectStore::Call {
  Operation operation;
  std::string method = "GET";
  std::string key{};  // empty for the bucket itself
  std::vector<std::pair<std::string, std::string>> query{};
  HttpHeaders headers{};
};

HttpObjectStore::HttpObjectStore(BucketAddress address, SignatureScheme scheme,
                                 std::shared_ptr<CredentialSource> credentials,
                                 std::unique_ptr<HttpClient> client,
                                 std::shared_ptr<QuietTime> quiet_time, LastRequests* requests,
                                 const Clock& clock)
    : address_(std::move(address)),
      scheme_(scheme),
      oss_(scheme != SignatureScheme::kAwsV4),
      credentials_(std::move(credentials)),
      client_(std::move(client)),
      quiet_time_(std::move(quiet_time)),
      requests_(requests),
      clock_(clock) {}

Result<HttpRequest> HttpObjectStore::Signed(const Call& call) {
  auto keys = credentials_->Current();
  if (!keys) return Fail(keys.error().code, Describe(call.operation, keys.error().detail));
  SignableRequest signable{.method = call.method,
                           .bucket = address_.bucket,
                           .key = call.key,
                           .encoded_path = address_.base_path + PercentEncode(call.key, true),
                           .query = call.query,
                           .headers = call.headers};
  signable.headers["host"] = address_.host;
  Sign(scheme_, signable, *keys, address_.region, clock_.UnixSeconds(), &signing_key_);

  HttpRequest request{.method = call.method,
                      .origin = address_.origin,
                      .target = std::move(signable.encoded_path),
                      .headers = std::move(signable.headers)};
  char separator = '?';
  for (const auto& [name, value] : call.query) {
    request.target.append(1, separator).append(PercentEncode(name, false));
    if (!value.empty()) request.target.append("=").append(PercentEncode(value, false));
    separator = '&';
  }
  return request;
}

Result<> HttpObjectStore::Exchange(const Call& call, const Accept& accept, Deadline deadline,
                                   HttpHead& head) {
  ASSIGN_OR_RETURN(const HttpRequest request, Signed(call));
  StoreReceiver receiver(accept, head);
  const auto sent = client_->Send(request, receiver, deadline);
  if (!receiver.wrong().empty())
    return WrongAnswer(call.operation, head, log::Printable(receiver.wrong()));
  if (receiver.failed()) {  // whether or not its document came whole
    HearRetryAfter(head);
    return tl::unexpected(FailureOf(call.operation, head.status, receiver.document()));
  }
  if (!sent)
    return Fail(sent.error().code, Describe(call.operation, sent.error().detail + AnswerOf(head)));
  quiet_time_->Over();
  return {};
}

Result<> HttpObjectStore::ExchangeDocument(const Call& call, DocumentSink& document,
                                           Deadline deadline, HttpHead& answered) {
  Result<> outcome = Exchange(
      call,
      [&](const HttpHead& head) -> Result<ByteSink*> {
        if (head.status != 200) return Wrong("an unexpected status");
        return &document;
      },
      deadline, answered);
  if (!outcome && document.too_long())
    return WrongAnswer(call.operation, answered, "a document too long");
  return outcome;
}

void HttpObjectStore::HearRetryAfter(const HttpHead& head) {
  const std::string text(Header(head, "retry-after"));
  int64_t seconds = 0;
  if (const auto number = ParseNumber(text)) {
    seconds = static_cast<int64_t>(std::min<uint64_t>(*number, INT32_MAX));
  } else if (const auto date = ParseHttpDate(text)) {
    seconds = *date - clock_.UnixSeconds();
  }
  if (seconds > 0)
    quiet_time_->AskedUntil(clock_.Now() +
                            std::min<Duration>(kRetryAfterMax, std::chrono::seconds(seconds)));
}

void HttpObjectStore::Note(const Call& call, const HttpHead& head, const Result<>& outcome) {
  if (requests_ == nullptr) return;
  requests_->Note(call.key, {.operation = std::string(call.operation.name),
                             .id = std::string(VendorHeader(head, "request-id")),
                             .status = head.status,
                             .failure = outcome ? "" : outcome.error().detail,
                             .ended_unix_micros = clock_.UnixMicros()});
}

Result<ObjectInfo> HttpObjectStore::Head(std::string_view key, Deadline deadline) {
  const Call call{.operation = {.name = "HeadObject",
                                .right = oss_ ? "oss:GetObject" : "s3:GetObject",
                                .key = key,
                                .kind = Operation::Kind::kHead},
                  .method = "HEAD",
                  .key = std::string(key)};
  ObjectInfo info;
  DocumentSink nothing(0);
  HttpHead answered;
  Result<> outcome = Exchange(
      call,
      [&](const HttpHead& head) -> Result<ByteSink*> {
        ASSIGN_OR_RETURN(info, InfoOf(key, head));
        return &nothing;
      },
      deadline, answered);
  Note(call, answered, outcome);
  RETURN_IF_ERROR(std::move(outcome));
  return info;
}

Result<GetAnswer> HttpObjectStore::Get(const ObjectVersion& version, ByteRange range,
                                       ByteSink& sink, Deadline deadline) {
  assert(range.length > 0 && range.end() <= version.size_bytes);
  Call call{.operation = {.name = "GetObject",
                          .right = oss_ ? "oss:GetObject" : "s3:GetObject",
                          .key = version.key},
            .key = version.key,
            .headers = {{"range", fmt::format("bytes={}-{}", range.offset, range.end() - 1)},
                        {"if-match", version.etag}}};
  // Without it, OSS answers a range it does not like with the whole object.
  if (oss_) call.headers["x-oss-range-behavior"] = "standard";

  ExactSink exact(sink, range.length);
  HttpHead answered;
  Result<> outcome = Exchange(
      call,
      [&](const HttpHead& head) -> Result<ByteSink*> {
        RETURN_IF_ERROR(CheckRange(head, version, range));
        return &exact;
      },
      deadline, answered);
  if (exact.overflowed())
    outcome = WrongAnswer(call.operation, answered, "too many bytes");
  else if (outcome && exact.missing_bytes() > 0)
    outcome = WrongAnswer(call.operation, answered, "too few bytes");
  Note(call, answered, outcome);
  RETURN_IF_ERROR(std::move(outcome));
  return GetAnswer{.crc64 = oss_ ? Crc64Of(answered) : std::nullopt,
                   .request_id = std::string(VendorHeader(answered, "request-id"))};
}

Result<ListPage> HttpObjectStore::List(const ListQuery& query, Deadline deadline) {
  Call call{.operation = {.name = "ListObjects",
                          .right = oss_ ? "oss:ListObjects" : "s3:ListBucket",
                          .key = query.prefix,
                          .kind = Operation::Kind::kBucket},
            .query = {{"list-type", "2"},
                      {"encoding-type", "url"},
                      {"max-keys", std::to_string(query.max_keys)}}};
  if (!query.prefix.empty()) call.query.emplace_back("prefix", query.prefix);
  if (!query.delimiter.empty()) call.query.emplace_back("delimiter", query.delimiter);
  if (query.from) call.query.emplace_back("continuation-token", *query.from);
  if (!query.from && !query.after.empty()) call.query.emplace_back("start-after", query.after);
  DocumentSink document(kListDocumentBytesMax);
  HttpHead answered;
  RETURN_IF_ERROR(ExchangeDocument(call, document, deadline, answered));
  auto page = ParseListDocument(document.text(), query,
                                oss_ ? TokenText::kEncodedLikeKeys : TokenText::kAsItIs);
  if (!page) return WrongAnswer(call.operation, answered, page.error().detail);
  return page;
}

Result<BucketUsage> HttpObjectStore::Usage(Deadline deadline) {
  if (!oss_) return Fail(Errc::kUnsupported, "S3 does not count what a bucket holds");
  const Call call{.operation = {.name = "GetBucketStat",
                                .right = "oss:GetBucketStat",
                                .key = address_.bucket,
                                .kind = Operation::Kind::kBucket},
                  .query = {{"stat", ""}}};
  DocumentSink document(kErrorDocumentBytesMax);
  HttpHead answered;
  RETURN_IF_ERROR(ExchangeDocument(call, document, deadline, answered));
  auto usage = ParseStatDocument(document.text());
  if (!usage) return WrongAnswer(call.operation, answered, usage.error().detail);
  return usage;
}

}  // namespace shoal
