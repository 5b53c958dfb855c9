// A source from which no more bytes a second are taken than a limit allows. In front of the
// origin and of peers: what a tier has at hand does not come by here.
#pragma once

#include <memory>

#include "cache/range_source.h"
#include "cache/traffic_limit.h"

namespace shoal {

// A read sends bytes on as it gets turns for them, and meanwhile leaves what comes in the
// connection. kTimedOut: no turn came by the request's deadline. Thread-safe.
class LimitedSource final : public RangeSource {
 public:
  // Both outlive it.
  LimitedSource(RangeSource& next, TrafficLimit& limit) : next_(next), limit_(limit) {}

  std::shared_ptr<ObjectBytes> Open(const ObjectVersion& version) override;

 private:
  RangeSource& next_;
  TrafficLimit& limit_;
};

}  // namespace shoal
