#include "fuse/unasked_opens.h"

#include <iterator>
#include <utility>

namespace shoal {

UnaskedOpens::Handle UnaskedOpens::Find(InodeId inode) {
  std::list<Opened> old;  // goes after the lock
  const MutexLock lock(mutex_);
  old = TakeOldLocked();
  const auto found = by_inode_.find(inode);
  return found == by_inode_.end() ? nullptr : UseLocked(found->second);
}

UnaskedOpens::Handle UnaskedOpens::Put(InodeId inode, HandleId handle) {
  Handle put(new HandleId(handle), [&file_system = file_system_](const HandleId* id) {
    file_system.Release(*id);
    delete id;
  });
  std::list<Opened> old;
  const MutexLock lock(mutex_);
  if (const auto found = by_inode_.find(inode); found != by_inode_.end())
    return UseLocked(found->second);
  opened_.push_back({inode, put, clock_.Now()});
  by_inode_[inode] = std::prev(opened_.end());
  old = TakeOldLocked();
  return put;
}

void UnaskedOpens::Drop(InodeId inode) {
  std::list<Opened> dropped;
  const MutexLock lock(mutex_);
  const auto found = by_inode_.find(inode);
  if (found == by_inode_.end()) return;
  dropped.splice(dropped.end(), opened_, found->second);
  by_inode_.erase(found);
}

UnaskedOpens::Handle UnaskedOpens::UseLocked(std::list<Opened>::iterator opened) {
  opened->used_at = clock_.Now();
  opened_.splice(opened_.end(), opened_, opened);
  return opened->handle;
}

std::list<UnaskedOpens::Opened> UnaskedOpens::TakeOldLocked() {
  std::list<Opened> old;
  const Instant now = clock_.Now();
  while (!opened_.empty() &&
         (opened_.size() > kCountMax || now - opened_.front().used_at > kIdleMax)) {
    by_inode_.erase(opened_.front().inode);
    old.splice(old.end(), opened_, opened_.begin());
  }
  return old;
}

}  // namespace shoal
