// The directories of the disk cache, as they are written in one option. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace shoal {

// "/mnt/a/:/mnt/b" is "/mnt/a/" and "/mnt/b/". kInvalid, naming the option: one is no absolute
// path.
Result<std::vector<std::string>> SplitDirectoryList(std::string_view text);

}  // namespace shoal
