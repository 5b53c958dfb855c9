// Requests read from /dev/fuse by several threads.
//
// All read the one descriptor that the mount was made with. Clones of it (FUSE_DEV_IOC_CLONE)
// would keep requests on lists of their own; but a clone dies with the process that made it,
// and fails its requests, which this one leaves to the next process.
#pragma once

#include <cstddef>
#include <functional>
#include <future>
#include <memory>

#include "base/mutex.h"
#include "base/result.h"
#include "fuse/stop_event.h"
#include "fuse/transport.h"

namespace shoal {

class DeviceTransport {
 public:
  // `device_fd` stays the caller's and is made non-blocking. All outlive this. Answers of up to
  // `answer_bytes` may be made in the receiving thread's memory.
  DeviceTransport(int device_fd, size_t thread_count, size_t answer_bytes, RequestSink& sink,
                  StopEvent& stop);

  // Until the stop event, which it raises itself when the file system was unmounted or its
  // threads cannot go on; kBusy: or it may have none (base/start_thread.h). Returns once every
  // request it received is answered. Once. Calls `begun` when it has its threads.
  Result<> Serve(const std::function<void()>& begun);

 private:
  class Reply;
  // Held by every unanswered request; the last to let go tells Serve.
  struct Unanswered {
    std::promise<void> none_left;
    ~Unanswered() { none_left.set_value(); }
  };

  void Receive();
  void End(Result<> why);

  const int device_fd_;
  const size_t thread_count_;
  const size_t answer_bytes_;
  RequestSink& sink_;
  StopEvent& stop_;
  std::shared_ptr<Unanswered> unanswered_ = std::make_shared<Unanswered>();

  Mutex mutex_;
  Result<> outcome_ GUARDED_BY(mutex_);
};

}  // namespace shoal
