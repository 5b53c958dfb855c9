// Keeps the inodes that the kernel knows, each of which takes memory here, to what the file
// system is meant for: when they are too many the kernel is asked to let some go that no program
// uses. What it kept of their bytes goes with them.
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

namespace shoal {

class InodePruner {
 public:
  // Both outlive it.
  InodePruner(FileSystem& file_system, int device_fd);
  ~InodePruner();
  InodePruner(const InodePruner&) = delete;
  InodePruner& operator=(const InodePruner&) = delete;

  // The kernel was given one more. Does not wait.
  void OnInode() {
    if (file_system_.inode_count() >= file_system_.inode_count_max()) Begin();
  }

 private:
  void Begin() EXCLUDES(mutex_);
  void Run();
  [[nodiscard]] size_t Enough() const;
  bool PruneAll(size_t count);
  // False: the kernel does not do that.
  bool Prune(const std::vector<InodeId>& inodes);
  // False: it is to end.
  bool Pause(Duration duration) EXCLUDES(mutex_);

  FileSystem& file_system_;
  const int device_fd_;
  std::atomic<bool> can_prune_{true};
  std::atomic<bool> running_{false};

  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  ThreadPool thread_{"shoal-prune", 1};  // last: it uses the rest
};

}  // namespace shoal
