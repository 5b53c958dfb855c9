// Keeps the inodes that the kernel knows, each of which takes memory here, to as many as the file
// system is meant for: when look-ups make them more, the kernel is asked to let some go that no
// program uses. What it kept of their bytes goes with them.
//
// Linux 6.18 can be asked (FUSE_NOTIFY_PRUNE); before, the kernel lets go when its own memory
// is short, which is said once. Thread-safe.
#pragma once

#include <atomic>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread_pool.h"
#include "fs/file_system.h"
#include "fuse/stop_event.h"

namespace shoal {

class InodePruner {
 public:
  // All outlive it. Once `stop` is raised it asks for nothing more: nobody may be there who
  // reads what the kernel lets go of.
  InodePruner(FileSystem& file_system, int device_fd, const StopEvent& stop);
  ~InodePruner();
  InodePruner(const InodePruner&) = delete;
  InodePruner& operator=(const InodePruner&) = delete;

  // A name was looked up. Does not wait.
  void OnLookup() {
    if (file_system_.inode_count() > file_system_.inode_count_max() && !running_) Begin();
  }

 private:
  void Begin() EXCLUDES(mutex_);
  void Run();
  // Asks for each inode once, until they are few enough. False: it is to end.
  bool PruneAll();
  // Until no more come. False: it is to end.
  bool AwaitForgets();
  // False: the kernel does not do that.
  bool Prune(const std::vector<InodeId>& inodes);
  // False: it is to end.
  bool Pause(Duration duration) EXCLUDES(mutex_);

  FileSystem& file_system_;
  const int device_fd_;
  const StopEvent& stop_;
  std::atomic<bool> can_prune_{true};
  std::atomic<bool> running_{false};

  Mutex mutex_;
  CondVar ends_;
  bool ending_ GUARDED_BY(mutex_) = false;
  ThreadPool thread_{"shoal-prune", 1};  // last: it uses the rest
};

}  // namespace shoal
