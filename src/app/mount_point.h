// The path of a mount, before it is mounted.
#pragma once

#include <string>

#include "base/result.h"

namespace shoal {

// Absolute, symlinks resolved. Does not ask a file system that is mounted on the path
// itself: that may be a mount that is dead, or hangs. kNotFound, and others as the path
// has it, naming the path.
Result<std::string> ResolveMountPoint(std::string path);

// kNotDirectory if it is something else. What a dead mount covers passes: mounting
// unmounts that first.
Result<> CheckMountPoint(const std::string& resolved);

}  // namespace shoal
