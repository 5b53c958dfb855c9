// Loads warm-up tasks and saves them, on threads of its own: about once a second, and at once when
// it is asked to. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
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
    // What WarmupStore::Load answered: the first of all calls, and not without a file.
    std::function<void(Result<std::vector<WarmupTask>>)> loaded;
    // What has changed since it asked last.
    std::function<Batch()> take;
    // A batch that could not be saved, and will be taken again.
    std::function<void(const Batch&)> give_back;
    // A new file was begun: all there is will be taken next.
    std::function<void()> give_all;
  };

  // A WarmupStore's file, and what that makes of one that is missing. "": it only takes.
  WarmupSaver(const std::string& file, WarmupStore::Missing missing, Owner owner);
  // Saves a last time, and waits for that. If they are not loaded yet it waits for nothing: the
  // thread that reads them is left behind.
  ~WarmupSaver();
  WarmupSaver(const WarmupSaver&) = delete;
  WarmupSaver& operator=(const WarmupSaver&) = delete;

  // False: that takes longer. It goes on.
  [[nodiscard]] bool AwaitLoaded(Duration wait);

  // Until what had changed before the call is on the disk, or could not be saved; but for a disk
  // that hangs some seconds once, and not before all was loaded.
  void Flush();
  // Begins that, without a wait.
  void Wake();

 private:
  struct Loading;

  void Loop();
  // False: that is not wanted any more.
  bool Load();
  void Save();

  // Of the thread.
  const std::string file_;
  const WarmupStore::Missing missing_;
  const std::shared_ptr<Loading> loading_;
  std::optional<WarmupStore> store_;
  const Owner owner_;
  bool works_ = true;

  Mutex mutex_;
  CondVar wanted_changed_;
  CondVar attempted_changed_;
  CondVar loaded_changed_;
  uint64_t wanted_ GUARDED_BY(mutex_) = 0;  // saves, counted
  uint64_t attempted_ GUARDED_BY(mutex_) = 0;
  bool loaded_ GUARDED_BY(mutex_) = false;
  bool hangs_ GUARDED_BY(mutex_) = false;  // one waited in vain, and nothing was saved since
  bool stopping_ GUARDED_BY(mutex_) = false;

  std::thread thread_;  // last: it uses the rest
};

}  // namespace shoal
