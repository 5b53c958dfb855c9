// `shoal stat`: what the mount knows of a path, for whoever wonders why it is slow.
#pragma once

#include <memory>

#include "cli/command.h"

namespace shoal {

std::unique_ptr<Command> MakeStatCommand();

}  // namespace shoal
