// The form in which names of headers are compared and kept. Pure.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace shoal {

// In lower case; only ASCII has cases in names of headers.
inline std::string HeaderName(std::string_view name) {
  std::string lower(name.size(), '\0');
  std::ranges::transform(name, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

}  // namespace shoal
