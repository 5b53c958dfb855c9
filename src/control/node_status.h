#pragma once

#include <cstdint>
#include <string>

#include "control/node_history.h"
#include "control/node_parts.h"
#include "control/node_report.h"

namespace shoal {

struct NodeStatus {
  Readiness ready;
  int64_t started_unix_seconds = 0;
  NodeHistory history{};
  int64_t history_end_unix_seconds = 0;
};

// What /v1/status answers; docs/operations.md names the members.
std::string StatusAsJson(const NodeParts& parts, const NodeStatus& status);

}  // namespace shoal
