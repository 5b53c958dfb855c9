#include "control/warmup_path.h"

#include <re2/re2.h>

#include "base/log.h"
#include "fs/listing_merger.h"

namespace shoal {
namespace {

constexpr size_t kPathBytesMax = 4095;  // PATH_MAX, of which one is the zero at the end
constexpr size_t kPatternBytesMax = 4096;
// Of a compiled expression; RE2 refuses one that needs more.
constexpr int64_t kExpressionBytesMax = 1 << 20;

// A long one would fill the log and the answer.
std::string Shown(std::string_view text) {
  constexpr size_t kShownMax = 200;
  return log::Printable(text.substr(0, kShownMax)) + (text.size() > kShownMax ? "..." : "");
}

}  // namespace

std::vector<std::string> SplitPaths(std::string_view list) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == ',') {
      if (!parts.back().empty()) parts.emplace_back();
    } else {
      if (const std::string_view rest = list.substr(i);
          rest.starts_with("\\,") || rest.starts_with("\\\\"))
        ++i;
      parts.back() += list[i];
    }
  }
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  if (!list.empty() && parts.front().empty()) parts.clear();
  return parts;
}

Result<std::string> NormalizeWarmupPath(std::string_view path) {
  if (path.starts_with('/'))
    return Fail(Errc::kInvalid, "'" + Shown(path) +
                                    "' is an absolute path; give one below the mount point, "
                                    "without a slash at its beginning ('' for the root)");
  if (path.size() > kPathBytesMax)
    return Fail(Errc::kInvalid, "the path is " + std::to_string(path.size()) +
                                    " bytes long, and none is longer than " +
                                    std::to_string(kPathBytesMax));
  while (path.ends_with('/')) path.remove_suffix(1);
  for (std::string_view rest = path; !rest.empty();) {
    const size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    if (!IsPathComponent(component))
      return Fail(Errc::kInvalid, "'" + Shown(path) + "' is no path of a file: '" +
                                      Shown(component) + "' cannot be one of its parts");
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  return std::string(path);
}

Result<WarmupFilter> WarmupFilter::Compile(std::string_view pattern) {
  WarmupFilter filter;
  if (pattern.empty()) return filter;
  if (pattern.size() > kPatternBytesMax)
    return Fail(Errc::kInvalid,
                "the pattern is longer than " + std::to_string(kPatternBytesMax) + " bytes");
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kExpressionBytesMax);
  auto expression =
      std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!expression->ok())
    return Fail(Errc::kInvalid,
                "pattern '" + Shown(pattern) + "': " + log::Printable(expression->error()));
  filter.expression_ = std::move(expression);
  filter.of_path_ = pattern.find('/') != std::string_view::npos;
  return filter;
}

bool WarmupFilter::Matches(std::string_view path, std::string_view name) const {
  if (expression_ == nullptr) return true;
  const std::string_view text = of_path_ && !path.empty() ? path : name;
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *expression_);
}

}  // namespace shoal
