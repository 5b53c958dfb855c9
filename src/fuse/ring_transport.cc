#include "fuse/ring_transport.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "base/start_thread.h"
#include "fuse/mount_holder.h"
#include "fuse/mount_table.h"

namespace shoal {
namespace {

// All queues together. Entries cost address space, and memory only where answers were.
constexpr uint32_t kEntryCountMax = 4096;
constexpr uint64_t kResidentBytesMax = 24 * kMiB;
// How many processes' entries there are: those of the one before, and what it took over, stay
// taken while the next gives the kernel its own.
constexpr uint32_t kShares = 4;

constexpr int kKickWaitMs = 1000;
constexpr int kKickAgainMs = 100;

// The kernel makes a queue for every CPU that may ever be there; "0-7" or "0".
Result<uint32_t> CountPossibleCpus() {
  std::string text;
  std::getline(std::ifstream("/sys/devices/system/cpu/possible"), text);
  uint32_t last = 0;
  const char* const number = text.data() + (text.find_last_of("-,") + 1);
  const auto [end, error] = std::from_chars(number, text.data() + text.size(), last);
  if (error != std::errc{} || last >= CPU_SETSIZE)
    return Fail(Errc::kUnsupported, "cannot tell the number of CPUs from '" + text + "'");
  return last + 1;
}

// By a process of its own for each CPU, since a thread that waits for an answer of its own
// process cannot be killed. They hold none of our descriptors, or one that is never answered would
// keep a dead mount. Their parent, which ends when all are answered; kBusy: there may be no process
// more.
Result<pid_t> KickQueues(size_t cpu_count, const std::string& mount_point,
                         const std::string& device) {
  // Before the fork, as a rule: glibc's allocator may be used after it, a sanitizer's may then wait
  // for ever.
  const auto mounts = MountsAt(mount_point);
  const bool is_there = mounts && !mounts->empty() && mounts->back().device == device;
  std::string path = is_there ? mount_point : std::string();
  const pid_t parent = fork();
  if (parent == 0) {
    close_range(0, ~0U, 0);
    // In a namespace of their own they do not keep the mount from being unmounted meanwhile.
    if (unshare(CLONE_NEWNS) == 0) mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (path.empty()) path = PathHeldIn(device);
    if (path.empty()) _exit(0);
    for (size_t i = 0; i < cpu_count; ++i) {
      pid_t child = fork();
      while (child < 0 && wait(nullptr) > 0) child = fork();  // not all at once, then
      if (child > 0) continue;
      cpu_set_t cpu;
      CPU_ZERO(&cpu);
      CPU_SET(i, &cpu);
      struct statfs unused;
      if (sched_setaffinity(0, sizeof(cpu), &cpu) == 0) statfs(path.c_str(), &unused);
      if (child == 0) _exit(0);  // else there may be no other process than this one
    }
    while (wait(nullptr) > 0) {
    }
    _exit(0);
  }
  if (parent < 0) return Fail(Errc::kBusy, std::string("fork: ") + std::strerror(errno));
  return parent;
}

// Or for a second.
void AwaitEnd(pid_t process) {
  const FileDescriptor handle(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
  pollfd ended{handle.get(), POLLIN, 0};
  if (poll(&ended, 1, kKickWaitMs) == 1) waitpid(process, nullptr, 0);
}

}  // namespace

Result<std::unique_ptr<RingTransport>> RingTransport::Make(int device_fd,
                                                           uint32_t request_bytes_max,
                                                           int memory_fd) {
  ASSIGN_OR_RETURN(const uint32_t cpu_count, CountPossibleCpus());
  const uint32_t depth_wanted = std::clamp<uint32_t>(kEntryCountMax / cpu_count, 64, 256);
  ASSIGN_OR_RETURN(auto memory, RingMemory::Map(memory_fd, {.queue_count = cpu_count,
                                                            .entry_count = kShares * depth_wanted,
                                                            .payload_bytes = request_bytes_max}));
  const RingGeometry& geometry = memory->geometry();
  RingQueueOptions options;
  options.depth = geometry.entry_count / kShares;
  options.resident_bytes_max = kResidentBytesMax / geometry.queue_count;
  std::vector<std::unique_ptr<RingQueue>> queues;
  for (uint32_t cpu = 0; cpu < geometry.queue_count; ++cpu) {
    options.queue_id = static_cast<uint16_t>(cpu);
    ASSIGN_OR_RETURN(auto queue, RingQueue::Make(options, device_fd, *memory));
    queues.push_back(std::move(queue));
  }
  return std::unique_ptr<RingTransport>(new RingTransport(std::move(memory), std::move(queues)));
}

RingTransport::~RingTransport() {
  if (threads_.empty()) return;
  orders_.set_value({nullptr, nullptr});
  Join();
}

Result<> RingTransport::Register(bool beside_another) {
  const std::shared_future<Orders> orders = orders_.get_future().share();
  for (size_t i = 0; i < queues_.size(); ++i) {
    ASSIGN_OR_RETURN(std::thread thread, StartThread([this, orders, beside_another, i] {
                       queues_[i]->Register(beside_another);
                       registered_.count_down();
                       const Orders& given = orders.get();
                       if (given.sink != nullptr)
                         outcomes_[i] =
                             queues_[i]->Serve(*given.sink, *given.stop, kick_.open_file);
                     }));
    threads_.push_back(std::move(thread));
  }
  registered_.wait();
  return {};
}

Result<> RingTransport::Serve(RequestSink& sink, StopEvent& stop,
                              const std::function<void()>& begun) {
  orders_.set_value({&sink, &stop});
  SeeToWhatWaits(stop);
  if (!stop.raised()) begun();
  for (const auto& queue : queues_) queue->MayEnd();
  Join();
  for (Result<>& outcome : outcomes_) RETURN_IF_ERROR(std::move(outcome));
  return {};
}

// 0: nothing can wait.
Result<pid_t> RingTransport::StartKickers() const {
  if (kick_.device.empty()) return 0;
  return KickQueues(queues_.size(), kick_.mount_point, kick_.device);
}

void RingTransport::SeeToWhatWaits(StopEvent& stop) const {
  Result<pid_t> kickers = StartKickers();
  if (!kickers)
    log::Warn("what waits in the kernel waits until a process can be made: {}",
              kickers.error().detail);
  while (!kickers) {
    pollfd stopped{stop.fd(), POLLIN, 0};
    if (poll(&stopped, 1, kKickAgainMs) == 1 || stop.raised()) return;
    kickers = StartKickers();
  }
  if (*kickers != 0) AwaitEnd(*kickers);
}

void RingTransport::Hold() {
  for (const auto& queue : queues_) queue->Hold();
}

void RingTransport::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace shoal
