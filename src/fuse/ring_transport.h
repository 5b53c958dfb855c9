// Requests over io_uring: a RingQueue for each CPU the machine may have, as the kernel
// demands. It sends requests this way as soon as every queue has an entry; interrupts, forgets
// and what came before are still read from /dev/fuse, by a DeviceTransport beside this one.
//
// Not libfuse's rings: there, an answer from another thread races with the ring's own
// submissions, interrupts are dropped, and what a process that died was asked is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "fuse/ring_memory.h"
#include "fuse/ring_queue.h"
#include "fuse/stop_event.h"
#include "fuse/transport.h"

namespace shoal {

class RingTransport {
 public:
  // Before FUSE_INIT is answered, since a promise of rings that is not kept hangs the mount.
  // kUnsupported, and why: use /dev/fuse. `device_fd` outlives this. `memory_fd`: as for
  // RingMemory::Map, which then decides how large requests are.
  static Result<std::unique_ptr<RingTransport>> Make(int device_fd, uint32_t request_bytes_max,
                                                     int memory_fd);
  ~RingTransport();
  RingTransport(const RingTransport&) = delete;
  RingTransport& operator=(const RingTransport&) = delete;

  // Makes the queues' threads and has them give the kernel entries: RingQueue::Register. What
  // comes waits for Serve. Once, before it. kBusy: it may not have as many (base/start_thread.h),
  // and is of no use.
  Result<> Register(bool beside_another);

  [[nodiscard]] bool registered() const { return !threads_.empty(); }
  // From here on the entries of this process are those of the one that serves. After the one before
  // is gone, and before Serve.
  void SetServing() { memory_->SetServing(); }

  // For a descriptor whose rings were another process's: requests that came while there was no
  // entry wait in the kernel until the next on their CPU. Serve sees to one on each.
  struct Kick {
    std::string mount_point;  // as it was made; may lead elsewhere by now
    std::string device;       // "MAJOR:MINOR" of the mount
    uint64_t open_file = 0;   // an inode; 0: none is open
  };
  void KickAfterStart(Kick kick) { kick_ = std::move(kick); }

  // Until the stop event, which it raises itself when the file system was unmounted or its
  // threads cannot go on. Returns once every request it received is answered. Once. Calls `begun`
  // when it needs no more threads and processes. `sink` and `stop` outlive this.
  Result<> Serve(RequestSink& sink, StopEvent& stop, const std::function<void()>& begun);
  // From any other thread, during Serve: RingQueue::Hold.
  void Hold();

 private:
  [[nodiscard]] Result<pid_t> StartKickers() const;
  void SeeToWhatWaits(StopEvent& stop) const;
  struct Orders {
    RequestSink* sink;  // null: to end
    StopEvent* stop;
  };

  RingTransport(std::unique_ptr<RingMemory> memory, std::vector<std::unique_ptr<RingQueue>> queues)
      : memory_(std::move(memory)), queues_(std::move(queues)), outcomes_(queues_.size()) {}
  void Join();

  const std::unique_ptr<RingMemory> memory_;
  const std::vector<std::unique_ptr<RingQueue>> queues_;
  Kick kick_;
  std::promise<Orders> orders_;
  std::latch registered_{static_cast<ptrdiff_t>(queues_.size())};
  std::vector<Result<>> outcomes_;  // one of each thread
  std::vector<std::thread> threads_;
};

}  // namespace shoal
