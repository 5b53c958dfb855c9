// Every option of a mount, from its declarations, as text for people.
#pragma once

#include <string>

namespace shoal {

// For the foot of --help.
std::string OptionsAsHelp();

// docs/options.md, whole.
std::string OptionsAsMarkdown();

}  // namespace shoal
