// Warm-up, as its user describes it.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "base/bytes.h"
#include "base/option.h"

namespace shoal {

struct WarmupOptions {
  uint64_t connection_count_max = 256;
  // Not options of a mount. Those of memory are set by who plans it.
  std::string mount_prefix;  // the mount's part of the bucket: "" or "a/b/"
  std::string state_file;    // of this mount and bucket alone; "": tasks end with the process
  uint64_t listed_count_max = 250'000;  // files kept in memory between listing and loading
  // Of the paths and patterns of tasks: those that run, and those that ended. Each text is in
  // memory several times.
  uint64_t text_bytes_max = 32 * kMiB;
  uint64_t request_wait_seconds = 60;  // for one request, its retries included
  uint64_t retry_pause_milliseconds = 1000;
};

inline constexpr auto kWarmupOptions = std::tuple{
    Option{"warmup_connections", &WarmupOptions::connection_count_max, Unit::kCount,
           "Most connections to the endpoint for warm-up, beside max_connections"},
};

}  // namespace shoal
