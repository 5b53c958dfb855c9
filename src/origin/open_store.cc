#include "origin/open_store.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>
#include <string>
#include <utility>

#include "origin/bucket_address.h"
#include "origin/checked_store.h"
#include "origin/credentials.h"
#include "origin/http_object_store.h"
#include "origin/quiet_time.h"
#include "origin/retrying_store.h"

namespace shoal {
namespace {

constexpr std::chrono::seconds kStallTimeoutMin{10};

Result<SignatureScheme> SchemeOf(const OriginOptions& options) {
  if (options.signature_version != "v4" && options.signature_version != "v1")
    return Fail(Errc::kInvalid,
                "signature_version '" + options.signature_version + "' is not v4 or v1");
  const bool v1 = options.signature_version == "v1";
  if (options.protocol == "oss") return v1 ? SignatureScheme::kOssV1 : SignatureScheme::kOssV4;
  if (options.protocol != "s3")
    return Fail(Errc::kInvalid, "protocol '" + options.protocol + "' is not oss or s3");
  if (v1) return Fail(Errc::kInvalid, "signature_version v1 is for protocol=oss");
  return SignatureScheme::kAwsV4;
}

void Sleep(Duration wait, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, wait, [] { return false; });
}

double Chance() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

}  // namespace

Result<std::unique_ptr<CredentialSource>> OpenCredentials(const OriginOptions& options,
                                                          const Clock& clock) {
  if (options.passwd_file.empty() == options.sts_file.empty())
    return Fail(Errc::kInvalid, "give one of passwd_file and g_oss_STSFile");
  return options.sts_file.empty()
             ? OpenCredentialFile(options.passwd_file, CredentialFormat::kPasswd, clock,
                                  options.files_may_be_missing)
             : OpenCredentialFile(options.sts_file, CredentialFormat::kSts, clock,
                                  options.files_may_be_missing);
}

HttpClientOptions ConnectionOptionsOf(const OriginOptions& options) {
  const std::chrono::seconds deadline(static_cast<int64_t>(options.request_deadline_seconds));
  return {.connection_count_max = options.connection_count_max,
          .connect_timeout =
              std::chrono::seconds(static_cast<int64_t>(options.connect_timeout_seconds)),
          // Who gives a slow store more time means each attempt; two more fit in.
          .stall_timeout = std::max(kStallTimeoutMin, deadline / 3),
          .ca_file = options.ca_file,
          .ca_file_may_be_missing = options.files_may_be_missing,
          .verify_certificate = options.verify_certificate};
}

Result<std::unique_ptr<ObjectStore>> OpenStore(const OriginOptions& options,
                                               std::shared_ptr<CredentialSource> credentials,
                                               const Clock& clock, const StoreMeans& means) {
  ASSIGN_OR_RETURN(const SignatureScheme scheme, SchemeOf(options));
  ASSIGN_OR_RETURN(BucketAddress address, AddressOf(options));
  for (const auto& [name, value] : {std::pair{"connect_timeout", options.connect_timeout_seconds},
                                    {"request_deadline", options.request_deadline_seconds},
                                    {"max_connections", options.connection_count_max}}) {
    if (value < 1 || value > 10'000)
      return Fail(Errc::kInvalid, std::string(name) + ": not from 1 to 10000");
  }
  HttpClientOptions connections = ConnectionOptionsOf(options);
  connections.stop = means.stop;
  ASSIGN_OR_RETURN(auto client, HttpClient::Create(connections, clock));
  auto quiet_time = std::make_shared<QuietTime>();
  auto bucket =
      std::make_unique<HttpObjectStore>(std::move(address), scheme, std::move(credentials),
                                        std::move(client), quiet_time, means.requests, clock);
  auto retrying = std::make_unique<RetryingStore>(
      std::move(bucket),
      RetryPolicy{.call_max =
                      std::chrono::seconds(static_cast<int64_t>(options.request_deadline_seconds))},
      RetryingStore::Waiting{.sleep = [stop = means.stop](Duration wait) { Sleep(wait, stop); },
                             .chance = &Chance},
      std::move(quiet_time), clock);
  if (scheme == SignatureScheme::kAwsV4) return retrying;
  return std::make_unique<CheckedStore>(std::move(retrying), clock);
}

}  // namespace shoal
