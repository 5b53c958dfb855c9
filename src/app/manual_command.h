#pragma once

#include <memory>

#include "cli/command.h"

namespace shoal {

// `shoal completion bash|zsh|fish`: prints a script for the shell.
std::unique_ptr<Command> MakeCompletionCommand();
// `shoal manual [PAGE]`: prints a page of the manual, as man(1) reads it.
std::unique_ptr<Command> MakeManualCommand();

}  // namespace shoal
