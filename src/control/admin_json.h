// The JSON of the admin port's answers: members, their order and messages as the
// specification's samples have them. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/node_report.h"
#include "control/path_facts.h"
#include "control/warmup_tasks.h"
#include "net/http_call.h"

namespace shoal {

using AdminJson = nlohmann::ordered_json;

inline constexpr std::string_view kRequestProcessed = "Request processed";

// Bytes that are no UTF-8 are shown as U+FFFD.
HttpAnswer JsonAnswer(const AdminJson& json, int status = 200);
// {"ErrorCode", "ErrorMessage", "Results": []}; the number is the errno nearest to the status.
HttpAnswer ErrorAnswer(int status, std::string_view reason);
// Of the whole request when it has no results of its own.
AdminJson Outcome(int error_code, std::string_view message);

// How a path is named in messages: the root is "/".
std::string NamedPath(std::string_view path);

// One of Results.
AdminJson ResultOf(std::string_view path, std::string_view location, int error_code,
                   std::string_view message);
AdminJson TaskInfo(const WarmupTask& task);
// With what the live page and `shoal top` want beyond the specification: objects and the end.
AdminJson LongTaskInfo(const WarmupTask& task);

// With LongTaskInfo of each, and how many run in all. Of thousands a tree in memory would be many
// times the text.
HttpAnswer TaskListAnswer(const std::vector<WarmupTask>& tasks, size_t running_count);

AdminJson TierAsJson(const TierCounters& counters);
AdminJson PathFactsAsJson(std::string_view path, const PathFacts& facts);

}  // namespace shoal
