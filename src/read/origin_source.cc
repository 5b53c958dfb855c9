#include "read/origin_source.h"

#include <optional>

namespace shoal {

class OriginSource::Bytes final : public ObjectBytes {
 public:
  Bytes(OriginSource& source, const ObjectVersion& version) : source_(source), version_(version) {}

  Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
    const bool warmup = request.purpose == Purpose::kWarmup;
    std::optional<DemandGauge::Fetch> demand;
    if (!warmup && source_.demand_ != nullptr) demand.emplace(*source_.demand_);
    ObjectStore& store = warmup ? source_.warmup_store_ : source_.store_;
    RETURN_IF_ERROR(store.Get(version_, request.range, sink, request.deadline));
    return ServedBy::kOrigin;
  }

 private:
  OriginSource& source_;
  const ObjectVersion version_;
};

std::shared_ptr<ObjectBytes> OriginSource::Open(const ObjectVersion& version) {
  return std::make_shared<Bytes>(*this, version);
}

}  // namespace shoal
