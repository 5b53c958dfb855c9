#include "origin/text_values.h"

#include <charconv>
#include <ctime>

namespace shoal {
namespace {

std::optional<int64_t> ParseTime(const char* text, const char* format, const char** rest) {
  std::tm time{};
  *rest = strptime(text, format, &time);
  if (*rest == nullptr) return std::nullopt;
  return timegm(&time);
}

std::optional<unsigned> HexDigit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseIsoTime(const std::string& text) {
  const char* rest = nullptr;
  const auto time = ParseTime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &rest);
  if (!time) return std::nullopt;
  std::string_view fraction(rest);
  if (fraction.starts_with('.')) {
    const size_t end = fraction.find_first_not_of("0123456789", 1);
    fraction.remove_prefix(end == std::string_view::npos ? fraction.size() : end);
  }
  return fraction == "Z" ? time : std::nullopt;
}

std::optional<int64_t> ParseHttpDate(const std::string& text) {
  const char* rest = nullptr;
  const auto time = ParseTime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &rest);
  return time && *rest == '\0' ? time : std::nullopt;
}

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || dash == std::string_view::npos ||
      slash == std::string_view::npos || dash < kUnit.size() || slash < dash)
    return std::nullopt;
  const auto first = ParseNumber(text.substr(kUnit.size(), dash - kUnit.size()));
  const auto last = ParseNumber(text.substr(dash + 1, slash - dash - 1));
  const std::string_view size_text = text.substr(slash + 1);
  const auto size_bytes = ParseNumber(size_text);
  if (!first || !last || *last < *first || (!size_bytes && size_text != "*")) return std::nullopt;
  return ContentRange{.first = *first, .last = *last, .object_size_bytes = size_bytes};
}

std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += plus_is_space && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const auto high = HexDigit(text[i + 1]);
    const auto low = HexDigit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    decoded += static_cast<char>(*high << 4 | *low);
    i += 2;
  }
  return decoded;
}

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

StorageClass ParseStorageClass(std::string_view name, std::string_view restore) {
  if (restore.find("ongoing-request=\"false\"") != std::string_view::npos)
    return StorageClass::kReadable;
  if (name == "Archive" || name == "GLACIER") return StorageClass::kArchive;
  if (name == "ColdArchive") return StorageClass::kColdArchive;
  if (name == "DeepColdArchive" || name == "DEEP_ARCHIVE") return StorageClass::kDeepColdArchive;
  return StorageClass::kReadable;  // "GLACIER_IR" too: it is read at once
}

}  // namespace shoal
