#include "fuse/open_modes.h"

#include <utility>

namespace shoal {

std::optional<Backing> OpenModes::Join(InodeId inode) {
  const auto found = modes_.find(inode);
  if (found == modes_.end()) return std::nullopt;
  ++found->second.open_count;
  return found->second.backing;
}

Backing OpenModes::JoinOrEnter(InodeId inode, const Backing& wanted) {
  Mode& mode = modes_.try_emplace(inode, Mode{wanted, 0}).first->second;
  ++mode.open_count;
  return mode.backing;
}

std::optional<Backing> OpenModes::Leave(InodeId inode) {
  const auto found = modes_.find(inode);
  if (found == modes_.end() || --found->second.open_count > 0) return std::nullopt;
  Backing left = std::move(found->second.backing);
  modes_.erase(found);
  return left;
}

}  // namespace shoal
