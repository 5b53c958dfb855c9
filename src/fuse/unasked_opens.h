// The handles of files that the kernel opens without asking (open_requests=off): its reads
// name the inode alone. A file is opened at its first read, and closed when it was not read for
// some seconds and another one is: what is open stays in a cache. Thread-safe.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/clock.h"
#include "base/mutex.h"
#include "fs/file_system.h"

namespace shoal {

class UnaskedOpens {
 public:
  // More are closed, the longest unused first; so are those that were not used for so long.
  static constexpr size_t kCountMax = 1024;
  static constexpr Duration kIdleMax = std::chrono::seconds(5);

  // A handle is closed when neither this nor a reader holds it.
  using Handle = std::shared_ptr<const HandleId>;

  // Both outlive this, and `file_system` every handle, which may outlive this.
  UnaskedOpens(FileSystem& file_system, const Clock& clock)
      : file_system_(file_system), clock_(clock) {}

  // Null: open it, and Put it.
  Handle Find(InodeId inode) EXCLUDES(mutex_);
  // Takes the handle; another one may have been first, and is then the answer.
  Handle Put(InodeId inode, HandleId handle) EXCLUDES(mutex_);
  void Drop(InodeId inode) EXCLUDES(mutex_);

 private:
  struct Opened {
    InodeId inode;
    Handle handle;
    Instant used_at;
  };

  Handle UseLocked(std::list<Opened>::iterator opened) REQUIRES(mutex_);
  // Those are closed by who destroys the list, without the lock.
  std::list<Opened> TakeOldLocked() REQUIRES(mutex_);

  FileSystem& file_system_;
  const Clock& clock_;
  Mutex mutex_;
  std::list<Opened> opened_ GUARDED_BY(mutex_);  // the last used last
  std::unordered_map<InodeId, std::list<Opened>::iterator> by_inode_ GUARDED_BY(mutex_);
};

}  // namespace shoal
