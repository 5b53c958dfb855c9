// What a worker makes sure of before it serves: that the store can be used as the options say.
#pragma once

#include <string>

#include "app/assemble.h"
#include "app/mount_memory.h"
#include "app/mount_plan.h"
#include "base/clock.h"
#include "base/result.h"

namespace shoal {

// Of a new mount. As ProbeBucket; waits 15 seconds at most.
Result<std::string> CheckBeforeMounting(const MountPlan& plan, const Node& node,
                                        const Clock& clock);

// What one that takes over on purpose cannot serve without, before the one that serves is let go.
// The store is asked if it is another one, or it is spoken to in another way: one that does not
// answer just now keeps nobody from being replaced.
Result<> CheckBeforeTakingOver(const MountPlan& plan, const MountMemory& memory,
                               const Clock& clock);

}  // namespace shoal
