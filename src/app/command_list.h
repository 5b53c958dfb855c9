// Every command of the program, by its declaration.
#pragma once

#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/manual.h"

namespace shoal {

// Those that main runs by what they declared.
std::vector<std::unique_ptr<Command>> MakeCommands();

// All of "shoal ...", for the manual and the completions; in the order of the help.
std::vector<DescribedCommand> DescribeCommands();

}  // namespace shoal
