#include "control/admin_query.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "base/log.h"

namespace shoal {
namespace {

constexpr size_t kParameterCountMax = 16;
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

std::optional<std::string> PercentDecoded(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
    } else if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      uint8_t byte = 0;
      const char* const digits = text.data() + i + 1;
      const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
      if (error != std::errc{} || end != digits + 2) return std::nullopt;
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

Result<> AddParameters(std::string_view text, bool is_form, AdminQuery& query) {
  const auto decoded = [is_form](std::string_view part) -> Result<std::string> {
    auto value = PercentDecoded(part, is_form);
    if (value) return *std::move(value);
    return Fail(Errc::kInvalid,
                "a % without two hexadecimal digits behind it; a percent sign is %25");
  };
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (item.empty()) continue;
    const size_t equals = std::min(item.find('='), item.size());
    ASSIGN_OR_RETURN(std::string name, decoded(item.substr(0, equals)));
    ASSIGN_OR_RETURN(std::string value, decoded(item.substr(std::min(item.size(), equals + 1))));
    if (query.parameters.size() == kParameterCountMax)
      return Fail(Errc::kInvalid, "too many parameters");
    const auto [at, is_new] = query.parameters.try_emplace(std::move(name), std::move(value));
    if (!is_new)
      return Fail(Errc::kInvalid, log::Printable(at->first) +
                                      ": given twice; several paths go into one target_path, "
                                      "with commas between them");
  }
  return {};
}

}  // namespace

bool IsMediaType(std::string_view content_type, std::string_view media_type) {
  const std::string_view named = content_type.substr(0, content_type.find_first_of("; \t"));
  return std::ranges::equal(named, media_type, [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
}

const std::string* AdminQuery::Find(std::string_view name) const {
  const auto found = parameters.find(name);
  return found == parameters.end() ? nullptr : &found->second;
}

Result<AdminQuery> ParseAdminQuery(const HttpCall& call) {
  std::string_view target = call.target;
  target = target.substr(0, target.find('#'));
  const size_t question = std::min(target.find('?'), target.size());
  AdminQuery query{.path = std::string(target.substr(0, question)), .parameters = {}};
  RETURN_IF_ERROR(AddParameters(target.substr(std::min(target.size(), question + 1)),
                                /*is_form=*/false, query));
  const auto type = call.headers.find("content-type");
  if (type != call.headers.end() && IsMediaType(type->second, kFormType))
    RETURN_IF_ERROR(AddParameters(call.body, /*is_form=*/true, query));
  return query;
}

}  // namespace shoal
