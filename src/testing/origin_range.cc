#include "testing/origin_range.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>

#include "origin/text_values.h"

namespace shoal::embedded {
namespace {

// Digits only; empty optional otherwise. Numbers past 64 bits are as good as infinite.
std::optional<uint64_t> ParsePosition(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc{})
    return UINT64_MAX;
  return number;
}

int64_t ParseDate(const std::string& text, const char* format) {
  std::tm parts = {};
  const char* end = strptime(text.c_str(), format, &parts);
  return end == nullptr || *end != '\0' ? -1 : timegm(&parts);
}

bool Matches(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == "*" || BareEtag(item) == BareEtag(etag)) return true;
  }
  return false;
}

}  // namespace

ServiceResult<RangeAnswer> ChooseRange(std::string_view range_header, uint64_t size_bytes,
                                       bool standard) {
  const RangeAnswer whole{200, {0, size_bytes}};
  if (!range_header.starts_with("bytes=")) return whole;
  std::string_view text = range_header.substr(6);
  text = text.substr(0, text.find(','));
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return whole;
  const auto first = ParsePosition(text.substr(0, dash));
  const auto last = ParsePosition(text.substr(dash + 1));
  const bool is_suffix = dash == 0;
  if ((is_suffix && !last) || (!is_suffix && !first)) return whole;
  if (!last && dash + 1 != text.size()) return whole;
  if (first && last && *last < *first) return whole;

  const bool begins_outside = is_suffix ? *last == 0 || size_bytes == 0 : *first >= size_bytes;
  const bool reaches_outside = is_suffix ? *last > size_bytes : last && *last >= size_bytes;
  if (!standard && (begins_outside || reaches_outside)) return whole;
  if (begins_outside)
    return Refuse({416,
                   "InvalidRange",
                   "The requested range cannot be satisfied.",
                   "",
                   {{"ActualObjectSize", std::to_string(size_bytes)},
                    {"RangeRequested", std::string(range_header)}}});
  if (is_suffix) {
    const uint64_t length = std::min(*last, size_bytes);
    return RangeAnswer{206, {size_bytes - length, length}};
  }
  const uint64_t end = last && *last < size_bytes ? *last + 1 : size_bytes;
  return RangeAnswer{206, {*first, end - *first}};
}

std::string BareEtag(std::string_view etag) {
  std::string bare;
  for (const char c : etag)
    if (c != '"') bare += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return bare;
}

int CheckConditions(const OriginRequest& request, const std::string& prefix, std::string_view etag,
                    int64_t modified_unix_seconds) {
  const auto header = [&](const char* name) { return std::string(request.Header(prefix + name)); };
  if (const std::string match = header("if-match"); !match.empty()) {
    if (!Matches(match, etag)) return 412;
  } else if (const auto since = ParseHttpDate(header("if-unmodified-since"))) {
    if (modified_unix_seconds > *since) return 412;
  }
  if (const std::string match = header("if-none-match"); !match.empty()) {
    if (Matches(match, etag)) return 304;
  } else if (const auto since = ParseHttpDate(header("if-modified-since"))) {
    if (modified_unix_seconds <= *since) return 304;
  }
  return 0;
}

std::string HttpDate(int64_t unix_seconds) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT",
                     fmt::gmtime(static_cast<time_t>(unix_seconds)));
}

std::string DocumentDate(int64_t unix_seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.000Z", fmt::gmtime(static_cast<time_t>(unix_seconds)));
}

int64_t ParseIsoDate(const std::string& text) {
  return ParseDate(text,
                   text.find('-') == std::string::npos ? "%Y%m%dT%H%M%SZ" : "%Y-%m-%dT%H:%M:%SZ");
}

}  // namespace shoal::embedded
