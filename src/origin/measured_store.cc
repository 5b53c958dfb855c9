#include "origin/measured_store.h"

#include <string>

namespace shoal {
namespace {

constexpr std::array<std::string_view, StoreMetrics::kKindCount> kKindNames = {"head", "get",
                                                                               "list", "usage"};

// Says nothing about the store's health.
bool IsAnswer(Errc code) {
  switch (code) {
    case Errc::kNotFound:
    case Errc::kChanged:
    case Errc::kArchived:
    case Errc::kUnsupported:
    case Errc::kInterrupted:
      return true;
    default:
      return false;
  }
}

}  // namespace

void StoreMetrics::Ended(Kind kind, Duration took, const Error* error, uint64_t body_bytes) {
  const auto index = static_cast<size_t>(kind);
  latencies_[index].Observe(took);
  if (error == nullptr) received_bytes_.Add(body_bytes);
  const bool is_trouble = error != nullptr && !IsAnswer(error->code);
  if (is_trouble) errors_[index].Add();
  // What an account may not ask of the bucket's use is no trouble for its objects.
  if (kind == Kind::kUsage || (error != nullptr && error->code == Errc::kInterrupted)) return;
  const MutexLock lock(mutex_);
  if (is_trouble)
    trouble_ = *error;
  else
    trouble_.reset();
}

void StoreMetrics::ReportTo(MetricReport& report) const {
  for (size_t i = 0; i < kKindCount; ++i)
    report.Add(latencies_[i], {{"op", std::string(kKindNames[i])}});
  for (size_t i = 0; i < kKindCount; ++i)
    report.Add(errors_[i], {{"op", std::string(kKindNames[i])}});
  report.Add(received_bytes_);
}

std::optional<Error> StoreMetrics::trouble() const {
  const MutexLock lock(mutex_);
  return trouble_;
}

template <class Call>
auto MeasuredStore::Measure(StoreMetrics::Kind kind, uint64_t body_bytes, Call call) {
  const Instant began = clock_.Now();
  auto outcome = call();
  metrics_.Ended(kind, clock_.Now() - began, outcome ? nullptr : &outcome.error(), body_bytes);
  return outcome;
}

Result<ObjectInfo> MeasuredStore::Head(std::string_view key, Deadline deadline) {
  return Measure(StoreMetrics::Kind::kHead, 0, [&] { return next_->Head(key, deadline); });
}

Result<> MeasuredStore::Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                            Deadline deadline) {
  return Measure(StoreMetrics::Kind::kGet, range.length,
                 [&] { return next_->Get(version, range, sink, deadline); });
}

Result<ListPage> MeasuredStore::List(const ListQuery& query, Deadline deadline) {
  return Measure(StoreMetrics::Kind::kList, 0, [&] { return next_->List(query, deadline); });
}

Result<BucketUsage> MeasuredStore::Usage(Deadline deadline) {
  return Measure(StoreMetrics::Kind::kUsage, 0, [&] { return next_->Usage(deadline); });
}

}  // namespace shoal
