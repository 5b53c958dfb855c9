// FUSE passthrough: which inodes the kernel serves by itself, from a file of the cache, and how
// each inode is open (open_modes.h).
//
// A file is named to the kernel at the first open of its inode and no longer after the last
// close. Names kept for a next open would save a tenth of an open and read of 64 KiB, less of
// more, and would keep the room of evicted files taken.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "fs/file_system.h"
#include "fuse/open_modes.h"

namespace shoal {

// Thread-safe. Until Start succeeded every open is a cached one.
class BackingFiles {
 public:
  // `device_fd` outlives this.
  explicit BackingFiles(int device_fd) : device_fd_(device_fd) {}
  // Lets go of every file; those open in the kernel stay readable until they are closed.
  ~BackingFiles();
  BackingFiles(const BackingFiles&) = delete;
  BackingFiles& operator=(const BackingFiles&) = delete;

  // Tries it with a file of its own. After passthrough was agreed on, before any Open. kDenied:
  // without CAP_SYS_ADMIN; kUnsupported: the kernel refused for another reason.
  Result<> Start();

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
  void Unregister(int32_t id) const;

  const int device_fd_;
  bool started_ = false;  // constant after Start

  mutable std::mutex mutex_;  // guards what follows; never held in a call of the kernel
  OpenModes modes_;
  std::string refusal_;
};

}  // namespace shoal
