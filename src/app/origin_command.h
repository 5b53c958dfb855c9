// `shoal origin --root DIR ...`: serves DIR until SIGTERM or SIGINT.
//
// The first line on stdout is "shoal origin: listening on http://ADDRESS:PORT", printed once
// connections are accepted.
#pragma once

#include <memory>

#include "cli/command.h"

namespace shoal {

std::unique_ptr<Command> MakeOriginCommand();

}  // namespace shoal
