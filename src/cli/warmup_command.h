// `shoal warmup load|stat|cancel`: warm-up tasks for people.
#pragma once

#include <memory>
#include <vector>

#include "cli/command.h"

namespace shoal {

std::vector<std::unique_ptr<Command>> MakeWarmupCommands();

}  // namespace shoal
