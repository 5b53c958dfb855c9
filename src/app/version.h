#pragma once

#include <string_view>

namespace shoal {

inline constexpr std::string_view kVersion = SHOAL_VERSION;  // of the project, from CMake

}  // namespace shoal
