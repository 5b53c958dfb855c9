// Open handles as records of a HandOver: how one process writes them, and the next reads them.
#pragma once

#include <string>
#include <vector>

#include "fs/file_system.h"
#include "fs/hand_over.h"
#include "fs/inode_table.h"
#include "origin/object_store.h"

namespace shoal {

// kNone: it was not kept (fs/hand_over.h).
HandOver::Token KeepFileHandle(HandOver& hand_over, HandleId handle, const Inode& file,
                               const OpenNote& note);
HandOver::Token KeepDirectoryHandle(HandOver& hand_over, HandleId handle, const Inode& directory,
                                    const OpenNote& note);

struct LeftHandle {
  KeptHandle kept;
  HandOver::Token token = HandOver::kNone;
  ObjectInfo object{};   // of a file
  std::string prefix{};  // of a directory
};

// What the processes before this one left: files, then directories.
std::vector<LeftHandle> FindLeftHandles(HandOver& hand_over);

}  // namespace shoal
