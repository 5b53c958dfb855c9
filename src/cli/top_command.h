// `shoal top`: the state of a mount, live.
#pragma once

#include <memory>

#include "cli/command.h"

namespace shoal {

std::unique_ptr<Command> MakeTopCommand();

}  // namespace shoal
