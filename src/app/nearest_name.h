// The name somebody probably meant.
#pragma once

#include <string_view>
#include <vector>

namespace shoal {

// The candidate that differs from `name` by the fewest letters added, removed or
// changed, case aside; the first such one. Empty when even that one differs by more
// than a third of the name.
[[nodiscard]] std::string_view NearestName(std::string_view name,
                                           const std::vector<std::string_view>& candidates);

}  // namespace shoal
