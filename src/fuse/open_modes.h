// In which mode the kernel has each inode open, which decides how its next open is answered.
//
// The kernel's rules (Linux, fs/fuse/iomode.c, since 6.9): the open files of an inode are all
// cached, or all passed through to one and the same backing file. An answer that breaks this
// fails the user's open with EIO. When its last file is closed an inode may change its mode,
// and the kernel has left the mode by the time it sends RELEASE. So what is counted here from
// before the answer until RELEASE covers at least what the kernel counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "cache/whole_file.h"
#include "fs/file_system.h"
#include "fs/hand_over.h"

namespace shoal {

// A file the kernel reads from by itself, or with id 0 none: a cached open.
struct Backing {
  int32_t id = 0;
  std::shared_ptr<const WholeFile> file;  // held for as long as the kernel knows the id, but
                                          // null for an id of the process before
  HandOver::Token token = HandOver::kNone;
};

// Not thread-safe.
class OpenModes {
 public:
  // How `inode` is open, if it is, and counts one more such open.
  std::optional<Backing> Join(InodeId inode);
  // The same; but where it is not open, it is from now on as `wanted` says.
  Backing JoinOrEnter(InodeId inode, const Backing& wanted);
  // Counts one open less. Of the last it answers the mode that was left. An inode that is not
  // open is left alone: it was opened before the session that counts.
  std::optional<Backing> Leave(InodeId inode);

 private:
  struct Mode {
    Backing backing;
    uint64_t open_count = 0;  // never 0
  };
  std::unordered_map<InodeId, Mode> modes_;
};

}  // namespace shoal
