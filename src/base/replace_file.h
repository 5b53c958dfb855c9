// Small files that others read while they are written.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace shoal {

// Replaces the file at once, by way of PATH.new: who reads it sees the old or the new. It is its
// owner's alone (mode 600). One at a time writes to the same path. After an error what was there
// is there still. kNotFound: the directory is missing; kInvalid: the system has another reason.
Result<> ReplaceFile(const std::string& path, std::string_view text);

}  // namespace shoal
