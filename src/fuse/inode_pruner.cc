#include "fuse/inode_pruner.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/log.h"
#include "fuse/kernel_abi.h"

namespace shoal {
namespace {

// In one message: no fewer, as a message is dear.
constexpr size_t kAtOnceMin = 64;
constexpr size_t kAtOnceMax = 4096;
// What the kernel let go of it says after a while, some of it at a time.
constexpr Duration kPause = std::chrono::milliseconds(20);
// After all were asked for, and programs use too many: so many times as long as that took.
constexpr Duration kPauseInVainMin = std::chrono::seconds(1);
constexpr Duration kPauseInVainMax = std::chrono::seconds(30);
constexpr int kShareOfTime = 20;

}  // namespace

InodePruner::InodePruner(FileSystem& file_system, int device_fd, const StopEvent& stop)
    : file_system_(file_system), device_fd_(device_fd), stop_(stop) {}

InodePruner::~InodePruner() {
  const MutexLock lock(mutex_);
  ending_ = true;
  ends_.NotifyAll();
}

void InodePruner::Begin() {
  if (!can_prune_ || stop_.raised() || running_.exchange(true)) return;
  thread_.Run([this] {
    Run();
    running_ = false;
  });
}

void InodePruner::Run() {
  while (file_system_.inode_count() > file_system_.inode_count_max()) {
    const auto began = std::chrono::steady_clock::now();
    if (!PruneAll()) return;
    if (file_system_.inode_count() <= file_system_.inode_count_max()) return;
    const Duration took = std::chrono::steady_clock::now() - began;
    if (!Pause(std::clamp(took * kShareOfTime, kPauseInVainMin, kPauseInVainMax))) return;
  }
}

bool InodePruner::PruneAll() {
  const size_t enough = InodeCountEnough(file_system_.inode_count_max());
  size_t left = file_system_.inode_count();
  while (left > 0) {
    const size_t count = file_system_.inode_count();
    if (count <= enough) break;
    const std::vector<InodeId> inodes =
        file_system_.NextInodes(std::clamp(count - enough, kAtOnceMin, kAtOnceMax));
    if (inodes.empty() || stop_.raised() || !Prune(inodes)) return false;
    if (!AwaitForgets()) return false;
    left -= std::min(left, inodes.size());
  }
  return true;
}

bool InodePruner::AwaitForgets() {
  size_t before = 0;
  do {
    before = file_system_.inode_count();
    if (!Pause(kPause)) return false;
  } while (file_system_.inode_count() < before);
  return true;
}

bool InodePruner::Prune(const std::vector<InodeId>& inodes) {
  std::vector<std::byte> message(sizeof(fuse_out_header) + sizeof(PruneNotification) +
                                 inodes.size() * sizeof(InodeId));
  const fuse_out_header header{static_cast<uint32_t>(message.size()), kNotifyPrune, 0};
  const PruneNotification body{static_cast<uint32_t>(inodes.size()), 0, 0};
  std::memcpy(message.data(), &header, sizeof(header));
  std::memcpy(message.data() + sizeof(header), &body, sizeof(body));
  std::memcpy(message.data() + sizeof(header) + sizeof(body), inodes.data(),
              inodes.size() * sizeof(InodeId));
  if (write(device_fd_, message.data(), message.size()) >= 0) return true;
  if (errno == EINVAL && can_prune_.exchange(false))
    log::Warn(
        "the kernel knows {} files and directories, more than memory is planned for, and cannot "
        "be asked to let some go (Linux 6.18 can): each takes some 400 bytes here",
        file_system_.inode_count());
  return false;
}

bool InodePruner::Pause(Duration duration) {
  const MutexLock lock(mutex_);
  const auto until = CondVar::In(duration);
  while (!ending_ && ends_.WaitUntil(mutex_, until)) continue;
  return !ending_;
}

}  // namespace shoal
