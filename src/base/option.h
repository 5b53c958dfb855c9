// An option is declared once, beside the struct it fills: its name, the member
// it sets, its unit and its one-line doc. The default is the member's own
// initializer. The parser, --help and docs/options.md all read that
// declaration; none repeats it.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "base/result.h"

namespace shoal {

enum class Unit : uint8_t { kNone, kCount, kBytes, kKibibytes, kMebibytes, kSeconds, kPort, kPath };

constexpr std::string_view UnitName(Unit unit) {
  constexpr std::string_view kNames[] = {"", "", "bytes", "KiB", "MiB", "s", "", "path"};
  return kNames[static_cast<size_t>(unit)];
}

template <class Struct, class Field>
struct Option {
  std::string_view name;  // as users type it; part of the public interface
  Field Struct::*field;
  Unit unit;
  std::string_view doc;  // one sentence, no full stop
};
template <class Struct, class Field>
Option(std::string_view, Field Struct::*, Unit, std::string_view) -> Option<Struct, Field>;

inline Result<> ParseValue(std::string_view text, uint64_t& out) {
  uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size())
    return Fail(Errc::kInvalid, "not a whole number: '" + std::string(text) + "'");
  out = value;
  return {};
}
inline Result<> ParseValue(std::string_view text, bool& out) {
  if (text == "true" || text == "yes" || text == "1") {
    out = true;
  } else if (text == "false" || text == "no" || text == "0") {
    out = false;
  } else {
    return Fail(Errc::kInvalid, "not true or false: '" + std::string(text) + "'");
  }
  return {};
}
inline Result<> ParseValue(std::string_view text, std::string& out) {
  out = text;
  return {};
}
inline std::string Show(uint64_t v) {
  return std::to_string(v);
}
inline std::string Show(bool v) {
  return v ? "true" : "false";
}
inline std::string Show(const std::string& v) {
  return v;
}

// Calls visit(option) for each option of a declaration tuple, in order.
template <class... Options, class Visitor>
void ForEachOption(const std::tuple<Options...>& options, Visitor&& visit) {
  std::apply([&](const auto&... option) { (visit(option), ...); }, options);
}

}  // namespace shoal
