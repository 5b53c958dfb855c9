// Starts what does warm-up tasks: those submitted from now on, and those that an earlier
// process left running.
#pragma once

#include <memory>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "cache/demand_gauge.h"
#include "cache/tier.h"
#include "control/warmup_options.h"
#include "control/warmup_tasks.h"
#include "origin/object_store.h"

namespace shoal {

// `store` is for listing, and best one of warm-up's own; what is loaded comes through `tier`,
// the one that keeps objects at the first opening. `tier` null: no cache is configured, and no
// task can be submitted; those that an earlier process left are known, and wait. All that is given
// outlives the tasks. Ending them waits for the requests under way, so `store` and `tier` are best
// told to end those before; whoever does asks `stop` first: from then on no task ends, and those
// that run go on with the next process.
//
// A file of tasks that cannot be read or written is warned of, and stops nothing. kInvalid,
// naming it: an option makes no sense.
Result<std::unique_ptr<WarmupTasks>> StartWarmup(const WarmupOptions& options, ObjectStore& store,
                                                 Tier* tier, const DemandGauge& demand,
                                                 const Clock& clock, std::stop_token stop = {});

}  // namespace shoal
