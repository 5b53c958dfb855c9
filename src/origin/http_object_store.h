// HttpObjectStore: a bucket of OSS (signature V1 or V4) or S3 over HTTP. Thread-safe.
//
// One call is one request: nothing is tried again here (retrying_store.h). An answer is
// believed only if it is exactly what was asked for: another status, range, length or
// ETag is kUnreachable, "answered wrongly", and none of its body reaches the sink.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "net/http_client.h"
#include "origin/bucket_address.h"
#include "origin/credentials.h"
#include "origin/last_requests.h"
#include "origin/object_store.h"
#include "origin/quiet_time.h"
#include "origin/signer.h"

namespace shoal {

class HttpObjectStore final : public ObjectStore {
 public:
  // kAwsV4 makes it speak S3, the others OSS. Tells `quiet_time` of each Retry-After and each
  // success, and `requests`, which may be null, of each request for an object. `requests` and
  // `clock` outlive the store.
  HttpObjectStore(BucketAddress address, SignatureScheme scheme,
                  std::shared_ptr<CredentialSource> credentials, std::unique_ptr<HttpClient> client,
                  std::shared_ptr<QuietTime> quiet_time, LastRequests* requests,
                  const Clock& clock);

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override;
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline deadline) override;
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override;
  Result<BucketUsage> Usage(Deadline deadline) override;
  void SetConnectionCountMax(size_t count_max) override {
    client_->SetConnectionCountMax(count_max);
  }

 private:
  struct Call;
  // Where the body of a success goes, or what is wrong with its head.
  using Accept = std::function<Result<ByteSink*>(const HttpHead& head)>;

  Result<HttpRequest> Signed(const Call& call);
  // `head`: of the answer, if one came.
  Result<> Exchange(const Call& call, const Accept& accept, Deadline deadline, HttpHead& head);
  // For an answer that is a document, or an error.
  Result<> ExchangeDocument(const Call& call, DocumentSink& document, Deadline deadline,
                            HttpHead& answered);
  void HearRetryAfter(const HttpHead& head);
  void Note(const Call& call, const HttpHead& head, const Result<>& outcome);

  const BucketAddress address_;
  const SignatureScheme scheme_;
  const bool oss_;
  const std::shared_ptr<CredentialSource> credentials_;
  const std::unique_ptr<HttpClient> client_;
  const std::shared_ptr<QuietTime> quiet_time_;
  LastRequests* const requests_;
  const Clock& clock_;
  SigningKey signing_key_;
};

}  // namespace shoal
