#pragma once

#include "cache/range_source.h"
#include "origin/object_store.h"

namespace shoal {

// The end of every chain: one ranged Get a request. Thread-safe.
class OriginSource final : public RangeSource {
 public:
  explicit OriginSource(ObjectStore& store) : store_(store) {}  // `store` outlives it
  std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) override;

 private:
  ObjectStore& store_;
};

}  // namespace shoal
