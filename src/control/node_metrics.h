#pragma once

#include <cstdint>
#include <string>

#include "control/node_parts.h"
#include "control/node_report.h"

namespace shoal {

// What /metrics answers: the text format of Prometheus. `tier`: since the start.
std::string MetricsText(const NodeParts& parts, const TierCounters& tier, const Readiness& ready,
                        int64_t started_unix_seconds);

}  // namespace shoal
