// Loads warm-up tasks and saves them, on a thread of its own: about once a second, and at once for
// who waits. Nobody else waits for the disk. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/warmup_store.h"

namespace shoal {

class WarmupSaver {
 public:
  struct Batch {
    std::vector<WarmupTask> changed;
    std::vector<uint64_t> gone;
  };
  // What it asks of the owner of the tasks, on its thread and with no lock held.
  struct Owner {
    // What WarmupStore::Load answered: the first of all calls, and not without a store.
    std::function<void(Result<std::vector<WarmupTask>>)> loaded;
    // What has changed since it asked last.
    std::function<Batch()> take;
    // A batch that could not be saved, and will be taken again.
    std::function<void(const Batch&)> give_back;
    // A new file was begun: all there is will be taken next.
    std::function<void()> give_all;
  };

  // Without a store it only takes.
  WarmupSaver(std::optional<WarmupStore> store, Owner owner);
  // Saves a last time.
  ~WarmupSaver();
  WarmupSaver(const WarmupSaver&) = delete;
  WarmupSaver& operator=(const WarmupSaver&) = delete;

  // False: that takes longer. It goes on.
  [[nodiscard]] bool AwaitLoaded(Duration wait);

  // Until what had changed before the call is on the disk, or could not be saved; but not for
  // a disk that hangs.
  void Flush();

 private:
  void Loop();
  void Save();

  // Of the thread.
  std::optional<WarmupStore> store_;
  const Owner owner_;
  bool works_ = true;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wanted_changed_;
  std::condition_variable attempted_changed_;
  std::condition_variable loaded_changed_;
  uint64_t wanted_ = 0;  // saves, counted
  uint64_t attempted_ = 0;
  bool loaded_ = false;
  bool stopping_ = false;

  std::thread thread_;  // last: it uses the rest
};

}  // namespace shoal
