#include "origin/retrying_store.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace shoal {
namespace {

// An attempt with less time than this is not worth its request.
constexpr Duration kAttemptMin = std::chrono::milliseconds(10);

// What runs out of less time than this says nothing of the store.
constexpr Duration kAttemptFair = std::chrono::seconds(1);

bool MayHelp(Errc code) {
  return code == Errc::kBusy || code == Errc::kUnreachable || code == Errc::kTimedOut;
}

class CountingSink final : public ByteSink {
 public:
  explicit CountingSink(ByteSink& next) : next_(next) {}
  bool Append(std::span<const std::byte> bytes) override {
    if (!next_.Append(bytes)) return false;
    taken_bytes_ += bytes.size();
    return true;
  }
  std::span<std::byte> Room() override { return next_.Room(); }
  [[nodiscard]] uint64_t taken_bytes() const { return taken_bytes_; }

 private:
  ByteSink& next_;
  uint64_t taken_bytes_ = 0;
};

constexpr auto kNeverProgressed = [] { return false; };

}  // namespace

std::optional<Duration> WaitBeforeRetry(const RetryPolicy& policy, uint32_t failure_count,
                                        double chance, Duration quiet, Duration remaining) {
  if (failure_count >= policy.failure_count_max || remaining < 2 * kAttemptMin) return std::nullopt;
  // Past 20 doublings the bound is wait_max in any case.
  const Duration bound = std::min(
      policy.wait_max, policy.wait_base * (int64_t{1} << std::min(failure_count - 1, 20U)));
  const Duration jittered(static_cast<int64_t>(chance * static_cast<double>(bound.count())));
  const Duration latest = std::max(remaining - kAttemptFair, remaining / 2);
  if (quiet > latest) {
    // One more, and that as late as may be.
    if (failure_count > 1 && remaining <= kAttemptFair) return std::nullopt;
    return latest;
  }
  // Rather wait too little than let the last of the time go by unused. Those that the store asked
  // to wait do not all come back at one moment.
  return std::min(latest, quiet + std::min(jittered, (remaining - quiet) / 2));
}

RetryingStore::RetryingStore(std::unique_ptr<ObjectStore> next, const RetryPolicy& policy,
                             Waiting waiting, std::shared_ptr<const QuietTime> quiet_time,
                             const Clock& clock)
    : next_(std::move(next)),
      policy_(policy),
      waiting_(std::move(waiting)),
      quiet_time_(std::move(quiet_time)),
      clock_(clock) {}

template <class Attempt, class Progressed>
auto RetryingStore::Retry(Deadline deadline, Attempt attempt, Progressed progressed) {
  deadline.at = std::min(deadline.at, clock_.Now() + policy_.call_max);
  uint32_t failure_count = 0;
  std::optional<Error> before;
  for (uint32_t attempt_count = 1;; ++attempt_count) {
    const bool is_fair = deadline.Remaining(clock_) >= kAttemptFair;
    auto outcome = attempt(deadline);
    if (outcome || !MayHelp(outcome.error().code)) return outcome;
    const bool has_progressed = progressed();
    failure_count = has_progressed ? 1 : failure_count + 1;
    // Whoever was being answered was not asked to wait.
    const Duration quiet = has_progressed ? Duration::zero() : quiet_time_->Remaining(clock_);
    const auto wait = WaitBeforeRetry(policy_, failure_count, waiting_.chance(), quiet,
                                      deadline.Remaining(clock_));
    Error& error = outcome.error();
    if (!wait) {
      if (before && !is_fair && error.code == Errc::kTimedOut) error = *std::move(before);
      if (error.code == Errc::kBusy) error.code = Errc::kTimedOut;
      if (attempt_count > 1)
        error.detail += fmt::format("; gave up after {} attempts", attempt_count);
      return outcome;
    }
    const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*wait).count();
    if (attempt_count == 1)
      log::Warn("{}; trying again", error.detail);
    else
      log::Debug("{}; attempt {}, the next in {} ms", error.detail, attempt_count, wait_ms);
    before = error;
    waiting_.sleep(*wait);
  }
}

Result<ObjectInfo> RetryingStore::Head(std::string_view key, Deadline deadline) {
  return Retry(
      deadline, [&](Deadline until) { return next_->Head(key, until); }, kNeverProgressed);
}

Result<GetAnswer> RetryingStore::Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                                     Deadline deadline) {
  CountingSink counting(sink);
  uint64_t taken_before_bytes = 0;
  return Retry(
      deadline,
      [&](Deadline until) -> Result<GetAnswer> {
        taken_before_bytes = counting.taken_bytes();
        if (taken_before_bytes == range.length) return GetAnswer{};  // broke after the last byte
        return next_->Get(version,
                          {range.offset + taken_before_bytes, range.length - taken_before_bytes},
                          counting, until);
      },
      [&] { return counting.taken_bytes() > taken_before_bytes; });
}

Result<ListPage> RetryingStore::List(const ListQuery& query, Deadline deadline) {
  return Retry(
      deadline, [&](Deadline until) { return next_->List(query, until); }, kNeverProgressed);
}

Result<BucketUsage> RetryingStore::Usage(Deadline deadline) {
  return Retry(
      deadline, [&](Deadline until) { return next_->Usage(until); }, kNeverProgressed);
}

}  // namespace shoal
