// Requests read from /dev/fuse, by threads that each have a clone of the descriptor
// (FUSE_DEV_IOC_CLONE): the kernel then keeps their requests on lists of their own. An answer
// must go to the descriptor its request was read from.
#pragma once

#include <cstddef>
#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "fuse/stop_event.h"
#include "fuse/transport.h"

namespace shoal {

class DeviceTransport final : public Transport {
 public:
  // `device_fd` stays the caller's and is made non-blocking. All outlive this. Answers of up to
  // `answer_bytes` may be made in the receiving thread's memory.
  DeviceTransport(int device_fd, size_t thread_count, size_t answer_bytes, RequestSink& sink,
                  StopEvent& stop);
  ~DeviceTransport() override;

  Result<> Serve() override;

 private:
  class Reply;
  // Held by every unanswered request; the last to let go tells Serve.
  struct Unanswered {
    std::promise<void> none_left;
    ~Unanswered() { none_left.set_value(); }
  };

  void Receive(int fd);
  void End(Result<> why);

  const int device_fd_;
  const size_t answer_bytes_;
  RequestSink& sink_;
  StopEvent& stop_;
  std::vector<int> fds_;  // device_fd_, then clones of it, one a thread
  std::shared_ptr<Unanswered> unanswered_ = std::make_shared<Unanswered>();

  std::mutex mutex_;
  Result<> outcome_;  // guarded by mutex_
};

}  // namespace shoal
