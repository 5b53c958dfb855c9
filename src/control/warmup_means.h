// What warm-up tasks share while they run.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "cache/tier.h"
#include "control/warmup_gate.h"
#include "origin/object_store.h"

namespace shoal {

// It outlives them, and what it names outlives it.
struct WarmupMeans {
  ObjectStore& store;  // for listing
  Tier& tier;          // where it is kept
  ThreadPool& loaders;
  WarmupGate& gate;
  const Clock& clock;
  std::atomic<size_t> connection_count_max = 0;
  Duration request_wait{};                        // for one request, its retries included
  Duration retry_pause{};                         // before objects that failed are tried again
  std::atomic<bool> spare_room_is_taken = false;  // by a task, while it lists
  std::atomic<int64_t> listed_room;               // listed files that may yet be kept, of all tasks
};

}  // namespace shoal
