// Base64 of RFC 4648, with padding and without line ends. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal {

[[nodiscard]] std::string Base64(std::string_view bytes);
// Nothing if it is not.
[[nodiscard]] std::optional<std::string> FromBase64(std::string_view text);

}  // namespace shoal
