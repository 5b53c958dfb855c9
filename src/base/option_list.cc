#include "base/option_list.h"

namespace shoal {

Result<std::vector<ListedOption>> SplitOptionList(std::string_view text) {
  std::vector<ListedOption> options;
  ListedOption option;
  bool quoted = false;
  const auto append = [&](char c) { (option.value ? *option.value : option.name) += c; };
  const auto finish = [&] {
    if (!option.name.empty() || option.value) options.push_back(std::move(option));
    option = {};
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == '\\' && (next == ',' || next == '"' || next == '\\')) {
      append(next);
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      finish();
    } else if (c == '=' && !option.value) {
      option.value.emplace();
    } else {
      append(c);
    }
  }
  if (quoted) return Fail(Errc::kInvalid, "-o: a double quote does not end");
  finish();
  return options;
}

std::string JoinOptionList(const std::vector<ListedOption>& list) {
  std::string out;
  for (const ListedOption& option : list) {
    if (!out.empty()) out += ',';
    const std::string text = option.name + (option.value ? "=" + *option.value : "");
    for (const char c : text) {
      if (c == ',' || c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace shoal
