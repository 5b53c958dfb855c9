// The mount that a keeper keeps: the descriptor of /dev/fuse, and what is mounted with it. The
// path may be another mount's by now (after `umount -l`), and what is there then stays.
//
// Not thread-safe.
#pragma once

#include <string>

#include "app/mount_plan.h"
#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

class KeeperMount {
 public:
  // The plan outlives this.
  explicit KeeperMount(const MountPlan& plan) : plan_(plan) {}

  // kBusy: a live mount of whatever type of ours is there, whose files, in `directory`, would
  // become this one's. What is left of one that died is Mount's to remove.
  Result<> RefuseToCoverAnother(const std::string& directory);
  Result<> OpenDevice();
  // After OpenDevice.
  Result<> Mount();

  [[nodiscard]] int device_fd() const { return device_fd_.get(); }
  // "MAJOR:MINOR"; empty if that could not be found out.
  [[nodiscard]] const std::string& device() const { return device_; }
  // After Mount, and before FailAllCalls.
  [[nodiscard]] bool IsUnmounted() const;

  // Those that programs still wait for, and whatever they ask from now on. Closes the descriptor.
  void FailAllCalls();
  // Only after that. A mount that is in use is gone from the path, and ends
  // when they let go of it.
  void Remove();

  // It is not to be served after all, however far it came.
  void GiveUp();

 private:
  const MountPlan& plan_;
  FileDescriptor device_fd_;
  std::string device_;
  bool mounted_ = false;
};

}  // namespace shoal
