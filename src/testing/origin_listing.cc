#include "testing/origin_listing.h"

#include <algorithm>

namespace shoal::embedded {

std::string AfterPrefix(std::string_view prefix) {
  std::string after(prefix);
  while (!after.empty() && after.back() == '\xff') after.pop_back();
  if (!after.empty()) after.back() = static_cast<char>(after.back() + 1);
  return after;
}

KeyPage ListKeys(const NextKey& next, const KeyQuery& query) {
  KeyPage page;
  // The least string after `after` is `after` and a zero byte.
  std::string from =
      query.after.empty() ? query.prefix : std::max(query.prefix, query.after + '\0');
  while (true) {
    auto key = next(from);
    if (!key || !key->starts_with(query.prefix)) return page;
    std::string shown = *key;
    size_t cut = std::string::npos;
    if (!query.delimiter.empty()) cut = key->find(query.delimiter, query.prefix.size());
    const bool is_common = cut != std::string::npos;
    if (is_common) shown.resize(cut + query.delimiter.size());
    // A marker inside a common prefix hides that prefix: it was on an earlier page.
    if (!is_common || shown > query.after) {
      if (page.keys.size() + page.common_prefixes.size() == query.count_max) {
        page.truncated = query.count_max > 0;
        return page;
      }
      page.last = shown;
      (is_common ? page.common_prefixes : page.keys).push_back(shown);
    }
    from = is_common ? AfterPrefix(shown) : shown + '\0';
    if (from.empty()) return page;
  }
}

}  // namespace shoal::embedded
