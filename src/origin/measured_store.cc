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

// Either what one object is refused for, or what all of them will be.
bool MayConcernOneKey(Errc code) {
  return code == Errc::kDenied || code == Errc::kUnusable;
}

class CountingSink final : public ByteSink {
 public:
  CountingSink(ByteSink& next, StoreMetrics& metrics) : next_(next), metrics_(metrics) {}
  bool Append(std::span<const std::byte> bytes) override {
    metrics_.Received(bytes.size());
    return next_.Append(bytes);
  }
  std::span<std::byte> Room() override { return next_.Room(); }

 private:
  ByteSink& next_;
  StoreMetrics& metrics_;
};

}  // namespace

void StoreMetrics::Ended(Kind kind, Duration took, const Error* error, std::string_view key) {
  const auto index = static_cast<size_t>(kind);
  latencies_[index].Observe(took);
  const bool is_trouble = error != nullptr && !IsAnswer(error->code);
  if (is_trouble) errors_[index].Add();
  // What an account may not ask of the bucket's use is no trouble for its objects.
  if (kind == Kind::kUsage || (error != nullptr && error->code == Errc::kInterrupted)) return;
  const MutexLock lock(mutex_);
  if (!is_trouble) {
    trouble_.reset();
    refused_key_.clear();
    return;
  }
  if (MayConcernOneKey(error->code) && !key.empty() &&
      (refused_key_.empty() || refused_key_ == key)) {
    refused_key_ = key;
    return;
  }
  trouble_ = *error;
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
auto MeasuredStore::Measure(StoreMetrics::Kind kind, std::string_view key, Call call) {
  const Instant began = clock_.Now();
  auto outcome = call();
  metrics_.Ended(kind, clock_.Now() - began, outcome ? nullptr : &outcome.error(), key);
  return outcome;
}

Result<ObjectInfo> MeasuredStore::Head(std::string_view key, Deadline deadline) {
  return Measure(StoreMetrics::Kind::kHead, key, [&] { return next_->Head(key, deadline); });
}

Result<GetAnswer> MeasuredStore::Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                                     Deadline deadline) {
  CountingSink counting(sink, metrics_);
  return Measure(StoreMetrics::Kind::kGet, version.key,
                 [&] { return next_->Get(version, range, counting, deadline); });
}

Result<ListPage> MeasuredStore::List(const ListQuery& query, Deadline deadline) {
  return Measure(StoreMetrics::Kind::kList, {}, [&] { return next_->List(query, deadline); });
}

Result<BucketUsage> MeasuredStore::Usage(Deadline deadline) {
  return Measure(StoreMetrics::Kind::kUsage, {}, [&] { return next_->Usage(deadline); });
}

}  // namespace shoal
