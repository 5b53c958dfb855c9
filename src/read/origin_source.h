#pragma once

#include "cache/demand_gauge.h"
#include "cache/range_source.h"
#include "origin/object_store.h"

namespace shoal {

// The end of every chain: one ranged Get a request. What it is given outlives it. Thread-safe.
class OriginSource final : public RangeSource {
 public:
  explicit OriginSource(ObjectStore& store) : OriginSource(store, store, nullptr) {}
  // Warm-up asks `warmup_store`, so that it takes no reader's connection; `demand`, unless
  // null, shows when readers ask.
  OriginSource(ObjectStore& store, ObjectStore& warmup_store, DemandGauge* demand)
      : store_(store), warmup_store_(warmup_store), demand_(demand) {}
  std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) override;

 private:
  class Bytes;

  ObjectStore& store_;
  ObjectStore& warmup_store_;
  DemandGauge* const demand_;
};

}  // namespace shoal
