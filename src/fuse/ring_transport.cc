#include "fuse/ring_transport.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <latch>
#include <thread>
#include <utility>

#include "base/bytes.h"

namespace shoal {
namespace {

// All queues together. Entries cost address space, and memory only where answers were.
constexpr uint32_t kEntryCountMax = 4096;
constexpr uint64_t kResidentBytesMax = 24 * kMiB;

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

void KickQueue(uint32_t cpu_index, const std::string& mount_point) {
  cpu_set_t cpu;
  CPU_ZERO(&cpu);
  CPU_SET(cpu_index, &cpu);
  if (sched_setaffinity(0, sizeof(cpu), &cpu) != 0) return;
  struct statvfs unused;
  statvfs(mount_point.c_str(), &unused);
}

}  // namespace

Result<std::unique_ptr<RingTransport>> RingTransport::Make(int device_fd,
                                                           uint32_t request_bytes_max,
                                                           RequestSink& sink, StopEvent& stop) {
  ASSIGN_OR_RETURN(const uint32_t cpu_count, CountPossibleCpus());
  RingQueueOptions options;
  options.depth = std::clamp<uint32_t>(kEntryCountMax / cpu_count, 16, 256);
  options.payload_bytes = request_bytes_max;
  options.resident_bytes_max = kResidentBytesMax / cpu_count;
  std::vector<std::unique_ptr<RingQueue>> queues;
  for (uint32_t cpu = 0; cpu < cpu_count; ++cpu) {
    options.queue_id = static_cast<uint16_t>(cpu);
    ASSIGN_OR_RETURN(auto queue, RingQueue::Make(options, device_fd, sink, stop));
    queues.push_back(std::move(queue));
  }
  return std::unique_ptr<RingTransport>(new RingTransport(std::move(queues)));
}

Result<> RingTransport::Serve() {
  std::vector<Result<>> outcomes(queues_.size());
  std::latch registered(static_cast<ptrdiff_t>(queues_.size()));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < queues_.size(); ++i)
    threads.emplace_back([this, &outcomes, &registered, i] {
      outcomes[i] = queues_[i]->Serve([&registered] { registered.count_down(); });
    });
  registered.wait();
  if (!kick_mount_point_.empty()) {
    // Detached, and holding nothing of ours: if the session ends first, they wait in the
    // kernel for the next one, or for the unmount.
    for (uint32_t cpu = 0; cpu < queues_.size(); ++cpu)
      std::thread([cpu, path = kick_mount_point_] { KickQueue(cpu, path); }).detach();
  }
  for (std::thread& thread : threads) thread.join();
  for (Result<>& outcome : outcomes) RETURN_IF_ERROR(std::move(outcome));
  return {};
}

}  // namespace shoal
