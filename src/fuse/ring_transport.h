// Requests over io_uring: a RingQueue for each CPU the machine may have, as the kernel
// demands. It sends requests this way as soon as every queue has an entry; interrupts, forgets
// and what came before are still read from /dev/fuse, by a DeviceTransport beside this one.
//
// Not libfuse's rings: there, an answer from another thread races with the ring's own
// submissions, and interrupts are dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "fuse/ring_queue.h"
#include "fuse/stop_event.h"
#include "fuse/transport.h"

namespace shoal {

class RingTransport final : public Transport {
 public:
  // Before FUSE_INIT is answered, since a promise of rings that is not kept hangs the mount.
  // kUnsupported, and why: use /dev/fuse. `device_fd`, `sink` and `stop` outlive this.
  static Result<std::unique_ptr<RingTransport>> Make(int device_fd, uint32_t request_bytes_max,
                                                     RequestSink& sink, StopEvent& stop);

  // For a descriptor whose rings were another session's: requests that came in between wait
  // in the kernel until the next on their CPU. Serve sends one on each, through a statfs of
  // `mount_point`.
  void KickAfterStart(std::string mount_point) { kick_mount_point_ = std::move(mount_point); }

  Result<> Serve() override;

 private:
  explicit RingTransport(std::vector<std::unique_ptr<RingQueue>> queues)
      : queues_(std::move(queues)) {}

  const std::vector<std::unique_ptr<RingQueue>> queues_;
  std::string kick_mount_point_;
};

}  // namespace shoal
