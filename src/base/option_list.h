// The text behind -o, taken apart. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace shoal {

struct ListedOption {
  std::string name;
  std::optional<std::string> value;  // empty when there is no '=', "" when nothing follows it

  friend bool operator==(const ListedOption&, const ListedOption&) = default;
};

// "a,b=c" to {a}, {b, c}. Empty items are left out. A comma that belongs to a value is
// written \, or stands in double quotes, as mount(8) has it; \" and \\ are a quote and a
// backslash, and a backslash before anything else is itself. kInvalid: a quote that does
// not end.
Result<std::vector<ListedOption>> SplitOptionList(std::string_view text);

// The text that splits into these.
std::string JoinOptionList(const std::vector<ListedOption>& list);

}  // namespace shoal
