// How requests come from the kernel and answers go back. There are two: DeviceTransport
// (/dev/fuse) and RingTransport (io_uring).
//
// Both give each request to a RequestSink on the thread that received it, together with the
// port for its answer, which may be given there and then or later from any thread.
#pragma once

#include <cstddef>
#include <span>

#include "fuse/decoder.h"
#include "fuse/receiver_watch.h"

namespace shoal {

// Thread-safe.
class RequestSink {
 public:
  virtual ~RequestSink() = default;
  // For one thread that receives, before its first request. Lives as long as the sink.
  virtual ReceiverWatch::Seat& AddSeat() = 0;
  // As Decoder::Feed. `seat`: of the calling thread.
  virtual void Receive(std::span<std::byte> message, ReplyPort* port,
                       ReceiverWatch::Seat& seat) = 0;
};

}  // namespace shoal
