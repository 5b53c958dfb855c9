// The screen of `shoal top`. Pure.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace shoal {

// `status`: what /v1/status answers. `tasks`: running warm-up tasks, or null. The lines, in
// `width` columns; what the status does not have is left out.
std::vector<std::string> TopScreen(const nlohmann::ordered_json& status,
                                   const nlohmann::ordered_json& tasks, size_t width);

// The same in one line, for a log.
std::string TopLine(const nlohmann::ordered_json& status);

}  // namespace shoal
