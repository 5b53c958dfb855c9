// FUSE passthrough: which inodes the kernel serves by itself, from a file of the cache, and how
// each inode is open (open_modes.h).
//
// A file is named to the kernel at the first open of its inode and no longer after the last
// close. Names kept for a next open would save a tenth of an open and read of 64 KiB, less of
// more, and would keep the room of evicted files taken.
//
// Ids belong to the mount. A process that ends leaves its own to the next, which goes on
// answering with those that are in use, as it must, and lets go of the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "base/mutex.h"
#include "base/result.h"
#include "fs/file_system.h"
#include "fuse/open_modes.h"

namespace shoal {

// Thread-safe. Until Start succeeded every open is a cached one.
class BackingFiles {
 public:
  // `device_fd` and `hand_over` outlive this.
  BackingFiles(int device_fd, HandOver& hand_over) : device_fd_(device_fd), hand_over_(hand_over) {}
  BackingFiles(const BackingFiles&) = delete;
  BackingFiles& operator=(const BackingFiles&) = delete;

  // Tries it with a file of its own. After passthrough was agreed on, before any Open. kDenied:
  // without CAP_SYS_ADMIN; kUnsupported: the kernel refused for another reason.
  Result<> Start();
  // The handles that are open from processes before this one. After Start, if that is called at
  // all, and before any Open.
  void TakeOver(std::span<const KeptHandle> handles);

  // How to answer an OPEN of `inode`, whose bytes are whole in `whole` (or null): the backing id
  // to open it with, or 0 for a cached open. Counted until Close, so call it before the answer
  // is sent. Files that the kernel does not take, for instance of an overlayfs, are opened as
  // usual; the first time, that is logged. `direct`: for O_DIRECT. A disk wants such reads
  // aligned, and we do not, so its files are opened as usual if the inode is not open yet.
  int32_t Open(InodeId inode, std::shared_ptr<const WholeFile> whole, bool direct);
  // At RELEASE, or when nobody took the answer to OPEN.
  void Close(InodeId inode);

  // Why the first of the files that the kernel did not take was refused; empty if none was.
  [[nodiscard]] std::string refusal() const;

 private:
  // With id 0 if the kernel does not take the file.
  Backing Register(std::shared_ptr<const WholeFile> whole);
  void Unregister(const Backing& backing);
  void CloseIdsNobodyNoted(const std::set<int32_t>& used);

  const int device_fd_;
  HandOver& hand_over_;
  bool started_ = false;  // constant after Start
  int32_t first_id_ = 0;  // the same: what the kernel gave out then

  mutable Mutex mutex_;  // never held in a call of the kernel
  OpenModes modes_ GUARDED_BY(mutex_);
  std::string refusal_ GUARDED_BY(mutex_);
};

}  // namespace shoal
