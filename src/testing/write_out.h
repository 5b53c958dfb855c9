// For tests that open again what they wrote. What an earlier process left is compared with the
// medium, and an open waits for a busy one for so long and no longer.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/file_descriptor.h"

namespace shoal {

// Until the medium has all files below `directory`.
inline void WriteOut(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const FileDescriptor file(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    fdatasync(file.get());
  }
}

}  // namespace shoal
