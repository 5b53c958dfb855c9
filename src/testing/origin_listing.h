// Which keys a list request shows: the rules of ListObjects over any ordered set of keys.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::embedded {

struct KeyQuery {
  std::string prefix;
  std::string delimiter;    // empty: none
  std::string after;        // only what sorts after this: a marker, a token, start-after
  size_t count_max = 1000;  // keys and common prefixes together
};

struct KeyPage {
  std::vector<std::string> keys;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string last;  // the last key or common prefix shown; the `after` of the next page
};

// The first key that is not less than `from`, in byte order.
using NextKey = std::function<std::optional<std::string>(std::string_view from)>;

// Asks `next` about once for each key or common prefix of the page, never for the keys
// that a common prefix hides.
KeyPage ListKeys(const NextKey& next, const KeyQuery& query);

// The least string that is greater than every string beginning with `prefix`; empty
// where there is none.
std::string AfterPrefix(std::string_view prefix);

}  // namespace shoal::embedded
