#pragma once

#include <memory>

#include "cli/command.h"

namespace shoal {

// `shoal doctor`: what is wrong with the machine, or with a mount, and what to do about it.
std::unique_ptr<Command> MakeDoctorCommand();

}  // namespace shoal
