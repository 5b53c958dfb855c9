#include "cache/counted_source.h"

#include <utility>

namespace shoal {
namespace {

class CountedBytes final : public ObjectBytes {
 public:
  using Counts = CountedSource::Counts;
  CountedBytes(std::shared_ptr<ObjectBytes> next, PlaceCounters& counters, Counts counts)
      : next_(std::move(next)), counters_(counters), counts_(counts) {}

  Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
    Result<ServedBy> place = next_->Read(request, sink);
    const uint64_t left_out = counts_ == Counts::kAskedFor ? request.rounding_bytes : 0;
    if (place) counters_.Add(*place, request.purpose, request.range.length - left_out);
    return place;
  }

  std::optional<ServedBy> ReadNow(uint64_t offset, std::span<std::byte> out) override {
    const std::optional<ServedBy> place = next_->ReadNow(offset, out);
    if (place) counters_.Add(*place, Purpose::kRead, out.size());
    return place;
  }

  [[nodiscard]] bool IsNear(ByteRange range) const override { return next_->IsNear(range); }

  std::shared_ptr<const WholeFile> Whole(Deadline deadline) override {
    return next_->Whole(deadline);
  }
  std::optional<std::shared_ptr<const WholeFile>> WholeIfKnown() override {
    return next_->WholeIfKnown();
  }

 private:
  const std::shared_ptr<ObjectBytes> next_;
  PlaceCounters& counters_;
  const Counts counts_;
};

}  // namespace

std::string_view PlaceName(ServedBy place) {
  constexpr std::string_view kNames[kPlaceCount] = {"memory", "disk", "peer", "origin"};
  return kNames[static_cast<size_t>(place)];
}

void PlaceCounters::Add(ServedBy place, Purpose purpose, uint64_t bytes) {
  auto& counts = (purpose == Purpose::kWarmup ? warmups_ : reads_)[static_cast<size_t>(place)];
  counts.requests.fetch_add(1, std::memory_order_relaxed);
  counts.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

PlaceCounters::Place PlaceCounters::Take(const Counts& counts) {
  return {counts.requests.load(std::memory_order_relaxed),
          counts.bytes.load(std::memory_order_relaxed)};
}

PlaceCounters::Place PlaceCounters::read(ServedBy place) const {
  return Take(reads_[static_cast<size_t>(place)]);
}

PlaceCounters::Place PlaceCounters::warmed(ServedBy place) const {
  return Take(warmups_[static_cast<size_t>(place)]);
}

std::shared_ptr<ObjectBytes> CountedSource::Open(const ObjectVersion& version) {
  return std::make_shared<CountedBytes>(next_.Open(version), counters_, counts_);
}

}  // namespace shoal
