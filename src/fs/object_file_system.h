// A bucket, or the part of it below a prefix, as a FileSystem.
//
// Names come from listings and from HEAD requests. A listing answers look-ups in its
// directory for a few seconds, so `ls -l` costs no request an entry; an open asks the
// store once (close-to-open), unless the look-up of the same open just did.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>

#include "base/clock.h"
#include "base/metric.h"
#include "base/option.h"
#include "fs/file_system.h"
#include "origin/object_store.h"
#include "read/read_engine.h"

namespace shoal {

struct FileSystemOptions {
  std::string prefix;  // from SOURCE: "" or "a/b/"; not an option of its own
  uint64_t name_valid_seconds = 1;
  uint64_t deadline_seconds = 30;  // of work nobody waits for; from request_deadline
};

inline constexpr auto kFileSystemOptions = std::tuple{
    Option{"entry_timeout", &FileSystemOptions::name_valid_seconds, Unit::kSeconds,
           "How long the kernel trusts a name that a listing gave it; opening a file asks the "
           "bucket all the same"},
};

struct FileSystemMetrics {
  Counter hidden_keys{
      "fs_hidden_keys_total",
      "Listed keys that no path can name: they begin with /, or have an empty, . or "
      ".. component"};
};

// `store`, `engine` and `clock` outlive the file system.
std::unique_ptr<FileSystem> MakeObjectFileSystem(const FileSystemOptions& options,
                                                 ObjectStore& store, ReadEngine& engine,
                                                 const Clock& clock);

}  // namespace shoal
