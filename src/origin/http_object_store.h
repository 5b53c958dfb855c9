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
#include "origin/object_store.h"
#include "origin/quiet_time.h"
#include "origin/signer.h"

namespace shoal {

class HttpObjectStore final : public ObjectStore {
 public:
  // kAwsV4 makes it speak S3, the others OSS. Tells `quiet_time` of each Retry-After.
  // `clock` outlives the store.
  HttpObjectStore(BucketAddress address, SignatureScheme scheme,
                  std::shared_ptr<CredentialSource> credentials, std::unique_ptr<HttpClient> client,
                  std::shared_ptr<QuietTime> quiet_time, const Clock& clock);

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override;
  Result<> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
               Deadline deadline) override;
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override;
  Result<BucketUsage> Usage(Deadline deadline) override;

 private:
  struct Call;
  // Where the body of a success goes, or what is wrong with its head.
  using Accept = std::function<Result<ByteSink*>(const HttpHead& head)>;

  Result<HttpRequest> Signed(const Call& call);
  Result<> Exchange(const Call& call, const Accept& accept, Deadline deadline);
  // For an answer that is a document, or an error.
  Result<> ExchangeDocument(const Call& call, ByteSink& document, Deadline deadline);
  void HearRetryAfter(const HttpHead& head);

  const BucketAddress address_;
  const SignatureScheme scheme_;
  const bool oss_;
  const std::shared_ptr<CredentialSource> credentials_;
  const std::unique_ptr<HttpClient> client_;
  const std::shared_ptr<QuietTime> quiet_time_;
  const Clock& clock_;
};

}  // namespace shoal
