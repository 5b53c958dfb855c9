// `shoal stat`: what the mount knows of a path, for whoever wonders why it is slow.
#pragma once

#include <memory>
#include <string>

#include "cli/admin_client.h"
#include "cli/command.h"

namespace shoal {

std::unique_ptr<Command> MakeStatCommand();

// Of LastRequest in the answer of /v1/stat, as one line for a support case. Pure.
std::string DescribeLastRequest(const Json& last_request);

}  // namespace shoal
