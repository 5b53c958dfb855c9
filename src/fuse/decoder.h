// libfuse as a decoder: a message goes in, an operation is called, its answer comes out at
// the port the message came with. libfuse's own loop and rings are not used, since they
// cannot attach to a descriptor that is already initialised, and its ring drops interrupts.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "fuse/low_level.h"
#include "fuse/request_metrics.h"

namespace shoal {

// Where the answer to one request goes.
class ReplyPort {
 public:
  // Called once, from any thread; the port may destroy itself. parts[0] is a
  // fuse_out_header with the kernel's unique; the parts are valid during the call only.
  // 0, or ENOENT when the kernel no longer knows the request.
  virtual int Send(std::span<const iovec> parts) = 0;

  // Memory to make the answer's body in: what is sent from its start is not copied. May be too
  // small for the answer, or empty. The receiving thread's, until its operation returns: a
  // later answer is made elsewhere.
  virtual std::span<std::byte> AnswerRoom() { return {}; }

  // Whether the kernel sends FUSE_INTERRUPT also for a signal that came before the request.
  [[nodiscard]] virtual bool TellsOfEarlierSignals() const { return true; }

  uint64_t unique = 0;  // the kernel's
  // For metrics; set by the decoder.
  uint32_t opcode = 0;
  Instant received{};
  RequestMetrics* metrics = nullptr;

 protected:
  ~ReplyPort() = default;
};

// Thread-safe.
class Decoder {
 public:
  // `userdata` is what fuse_req_userdata gives the operations. `unused_fd` becomes libfuse's,
  // which wants one to close. `metrics` outlives every answer.
  static Result<std::unique_ptr<Decoder>> Make(const fuse_lowlevel_ops& operations, void* userdata,
                                               int unused_fd, RequestMetrics& metrics);

  // Calls the operation on this thread. `received`: now, or a moment ago. `message` starts with a
  // fuse_in_header, is whole, and is changed. `port` outlives the answer; nullptr for messages that
  // get none. FUSE_INTERRUPT is not for libfuse, which keeps no account of requests here.
  void Feed(std::span<std::byte> message, ReplyPort* port, Instant received);

  // The port of the request whose operation this thread is in, until it is answered: libfuse
  // does not tell.
  static ReplyPort* CurrentPort();

 private:
  struct Destroy {
    void operator()(fuse_session* session) const { fuse_session_destroy(session); }
  };
  Decoder(fuse_session* session, RequestMetrics& metrics) : session_(session), metrics_(metrics) {}

  const std::unique_ptr<fuse_session, Destroy> session_;
  RequestMetrics& metrics_;
};

// False for FORGET, BATCH_FORGET, INTERRUPT and NOTIFY_REPLY.
bool ExpectsReply(uint32_t opcode);

}  // namespace shoal
