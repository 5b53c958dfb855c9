// The paths and patterns that warm-up tasks are asked for with. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace shoal {

// The parts between commas; "\," is a comma in a name, and "\\" a backslash, which before any
// other character stands for itself as well. Parts that are empty are left out, so that a comma
// too many does not mean the root; of a text that is empty, that is the only part.
std::vector<std::string> SplitPaths(std::string_view list);

// A path below the mount's root, without slashes at its end; "" is the root. kInvalid, with
// what to give instead, for one that is absolute or too long, or that no file can have.
Result<std::string> NormalizeWarmupPath(std::string_view path);

// Which files a task is about. Copies share what was compiled. Thread-safe.
class WarmupFilter {
 public:
  // A regular expression of RE2 that is found in a file's name, or, if there is a '/' in the
  // expression, in its path below the target. "" is found in all. kInvalid: RE2's reason.
  static Result<WarmupFilter> Compile(std::string_view pattern);

  // `path` is that below the target: "" for the target itself if it is a file.
  [[nodiscard]] bool Matches(std::string_view path, std::string_view name) const;

 private:
  std::shared_ptr<const re2::RE2> expression_;  // null: everything
  bool of_path_ = false;
};

}  // namespace shoal
