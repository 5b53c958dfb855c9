// Where this program is, so that another process of it can be started later.
#pragma once

#include <string>
#include <string_view>

namespace shoal {

// The absolute path that `called_as`, an argv[0], led to: symlinks are not resolved, so that
// what an upgrade puts there is found. /proc/self/exe's target if that leads elsewhere.
std::string PathOfThisProgram(std::string_view called_as);

}  // namespace shoal
