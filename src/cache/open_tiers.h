// The tiers that options describe, in front of a source.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/result.h"
#include "cache/demand_gauge.h"
#include "cache/options.h"
#include "cache/range_source.h"
#include "cache/tier.h"

namespace shoal {

struct Tiers {
  std::unique_ptr<Tier> disk;    // null: none
  std::unique_ptr<Tier> memory;  // null: none; in front of the disk
};

// kInvalid, naming the option: no tiers can be made of these, whatever the machine is like. Pure.
Result<> CheckCacheOptions(const CacheOptions& options);

// Makes what there is room for; `origin`, `demand` and `clock` outlive it; see Tier for `demand`.
// `memory_medium` is of MakeMemoryMedium, or none, and then the memory tier begins with a new one.
// kInvalid: CheckCacheOptions's errors, or they ask for more than the machine has; kBusy: a
// directory is another mount's. Other errors are OpenCacheDirectory's, but for its medium's: such
// a directory is on probation, and is opened when that is possible.
Result<Tiers> OpenTiers(const CacheOptions& options, FileDescriptor memory_medium,
                        RangeSource& origin, DemandGauge* demand, const Clock& clock);

}  // namespace shoal
