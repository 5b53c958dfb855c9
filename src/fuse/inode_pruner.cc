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

// In one message; and asked for before the kernel is given time to say what it let go of.
constexpr size_t kAtOnce = 512;
constexpr size_t kMessagesBetweenPauses = 8;
constexpr Duration kPause = std::chrono::milliseconds(5);
// After all were asked for in vain, as programs use them: so long, and so many times as long as
// that took.
constexpr Duration kPauseInVain = std::chrono::seconds(1);
constexpr int kShareOfTime = 20;
// They come one by one and go by the thousand.
constexpr size_t kShareThatGoes = 8;

}  // namespace

InodePruner::InodePruner(FileSystem& file_system, int device_fd)
    : file_system_(file_system), device_fd_(device_fd) {}

InodePruner::~InodePruner() {
  const MutexLock lock(mutex_);
  stopping_ = true;
  stopped_.NotifyAll();
}

void InodePruner::Begin() {
  if (!can_prune_ || running_.exchange(true)) return;
  thread_.Run([this] {
    Run();
    running_ = false;
  });
}

void InodePruner::Run() {
  while (file_system_.inode_count() > Enough()) {
    const size_t before = file_system_.inode_count();
    const auto began = std::chrono::steady_clock::now();
    if (!PruneAll(before)) return;
    if (file_system_.inode_count() < before) continue;
    const Duration took = std::chrono::steady_clock::now() - began;
    if (!Pause(std::max(kPauseInVain, took * kShareOfTime))) return;
  }
}

size_t InodePruner::Enough() const {
  const size_t count_max = file_system_.inode_count_max();
  return count_max - count_max / kShareThatGoes;
}

// As many as there were, until that is enough. False: it is to end.
bool InodePruner::PruneAll(size_t count) {
  size_t message_count = 0;
  for (size_t asked_count = 0; asked_count < count && file_system_.inode_count() > Enough();) {
    const std::vector<InodeId> inodes = file_system_.NextInodes(kAtOnce);
    if (inodes.empty() || !Prune(inodes)) return false;
    asked_count += inodes.size();
    if (++message_count % kMessagesBetweenPauses == 0 && !Pause(kPause)) return false;
  }
  return Pause(kPause);
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
        "be asked to let some go (Linux 6.18 can): each takes some 400 bytes",
        file_system_.inode_count());
  return false;
}

bool InodePruner::Pause(Duration duration) {
  const MutexLock lock(mutex_);
  const auto until = CondVar::In(duration);
  while (!stopping_ && stopped_.WaitUntil(mutex_, until)) continue;
  return !stopping_;
}

}  // namespace shoal
