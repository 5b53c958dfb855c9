// A listing that was accepted keeps what its header promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "origin/list_document.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const shoal::ListQuery query{.prefix = "a/", .delimiter = "/", .max_keys = 10};
  if (const auto page = shoal::ParseListDocument(text, query, shoal::TokenText::kEncodedLikeKeys)) {
    if (page->objects.size() + page->common_prefixes.size() > query.max_keys) std::abort();
    for (size_t i = 0; i < page->objects.size(); ++i) {
      const auto& key = page->objects[i].version.key;
      if (!key.starts_with(query.prefix)) std::abort();
      if (i > 0 && key <= page->objects[i - 1].version.key) std::abort();
    }
  }
  static_cast<void>(shoal::ParseStatDocument(text).has_value());
  return 0;
}
