// The values that headers and documents carry as text. Pure functions; nullopt for text
// that is not exactly such a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "origin/object_store.h"

namespace shoal {

[[nodiscard]] std::optional<uint64_t> ParseNumber(std::string_view text);

// "2025-12-11T08:37:51Z" and "2025-12-11T08:37:51.000Z"; in seconds since the epoch.
[[nodiscard]] std::optional<int64_t> ParseIsoTime(const std::string& text);

// "Fri, 24 Feb 2012 06:07:48 GMT"; in seconds since the epoch.
[[nodiscard]] std::optional<int64_t> ParseHttpDate(const std::string& text);

struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive
  std::optional<uint64_t> object_size_bytes{};

  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};
// "bytes 0-9/443", "bytes 0-9/*"
[[nodiscard]] std::optional<ContentRange> ParseContentRange(std::string_view text);

// Undoes percent-encoding; a '+' stays or becomes a space.
[[nodiscard]] std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space);

[[nodiscard]] std::string Hex(std::string_view bytes);  // lower case

// `restore`: the x-oss-restore or x-amz-restore header; a restored object is readable.
[[nodiscard]] StorageClass ParseStorageClass(std::string_view name, std::string_view restore);

}  // namespace shoal
