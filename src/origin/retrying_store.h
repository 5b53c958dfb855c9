// RetryingStore: tries again what a second attempt may get right. Thread-safe.
//
// That is kBusy, kUnreachable and, while the call's own deadline has not passed,
// kTimedOut; everything else is final. A Get that broke goes on after the last byte that
// the sink took, of the same version, so the sink sees each byte once.
//
// The first failure of a call is warned of; the error says how many there were, and gives the
// reason of the attempt before if the last one had no time for an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "origin/object_store.h"
#include "origin/quiet_time.h"

namespace shoal {

struct RetryPolicy {
  Duration wait_base = std::chrono::milliseconds(50);
  Duration wait_max = std::chrono::seconds(5);
  uint32_t failure_count_max = 32;               // in a row, with no byte between them
  Duration call_max = std::chrono::seconds(30);  // retries included, whatever the caller's deadline
};

// How long to wait after `failure_count` failures in a row: full jitter, `chance` (0 to 1)
// of a bound that doubles, after `quiet`; where that is more than what remains, until the last
// second, for one more attempt. Nothing if there is no time left for another, or the
// attempts are used up.
[[nodiscard]] std::optional<Duration> WaitBeforeRetry(const RetryPolicy& policy,
                                                      uint32_t failure_count, double chance,
                                                      Duration quiet, Duration remaining);

class RetryingStore final : public ObjectStore {
 public:
  // Both are called from any thread.
  struct Waiting {
    std::function<void(Duration)> sleep;
    std::function<double()> chance;  // uniform, 0 to 1
  };

  // `clock` outlives the store.
  RetryingStore(std::unique_ptr<ObjectStore> next, const RetryPolicy& policy, Waiting waiting,
                std::shared_ptr<const QuietTime> quiet_time, const Clock& clock);

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override;
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline deadline) override;
  Result<ListPage> List(const ListQuery& query, Deadline deadline) override;
  Result<BucketUsage> Usage(Deadline deadline) override;
  void SetConnectionCountMax(size_t count_max) override { next_->SetConnectionCountMax(count_max); }

 private:
  // `attempt(deadline)` gives a Result; `progressed()` says if the last one got anywhere.
  template <class Attempt, class Progressed>
  auto Retry(Deadline deadline, Attempt attempt, Progressed progressed);

  const std::unique_ptr<ObjectStore> next_;
  const RetryPolicy policy_;
  const Waiting waiting_;
  const std::shared_ptr<const QuietTime> quiet_time_;
  const Clock& clock_;
};

}  // namespace shoal
