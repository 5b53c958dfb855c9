// One queue of FUSE over io_uring: the requests of the processes on one CPU.
//
// The queue has entries, each a header page and a payload. An entry is either the kernel's
// (it may put a request there at any time) or ours, from the completion that brings a
// request until the commit of its answer, which gives it back. So `depth` requests of one
// CPU can be under way; the next wait in the kernel.
//
// Only the queue's own thread touches its ring. Others write their answer into the entry and
// hand it over.
#pragma once

#include <liburing.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "fuse/kernel_abi.h"
#include "fuse/stop_event.h"
#include "fuse/transport.h"

namespace shoal {

struct RingQueueOptions {
  uint16_t queue_id = 0;  // the CPU
  uint32_t depth = 0;
  uint32_t payload_bytes = 0;  // at least what was negotiated as the largest request
  // Answers' bytes that may stay in memory between requests. Above, pages are given back.
  uint64_t resident_bytes_max = 0;
};

class RingQueue {
 public:
  // Makes the ring and its memory, and asks the kernel for nothing yet. kUnsupported: the
  // kernel refused one of them. `device_fd`, `sink` and `stop` outlive the queue.
  static Result<std::unique_ptr<RingQueue>> Make(const RingQueueOptions& options, int device_fd,
                                                 RequestSink& sink, StopEvent& stop);
  ~RingQueue();
  RingQueue(const RingQueue&) = delete;
  RingQueue& operator=(const RingQueue&) = delete;

  // Registers the entries and serves them on the calling thread, which it pins to the CPU,
  // until the stop event; returns once no entry is ours and the ring is gone. Requests that
  // come in the moment of its going fail with ECANCELED, later ones wait for the next
  // session. An error raises the stop event.
  // `registered` is called when the kernel has the entries.
  Result<> Serve(const std::function<void()>& registered);

 private:
  class Entry;

  RingQueue(const RingQueueOptions& options, int device_fd, RequestSink& sink, StopEvent& stop);

  Result<> MapMemory();
  void Register(Entry& entry);
  void Commit(Entry& entry);
  void Retry(Entry& entry);
  io_uring_sqe& PrepareCommand(Entry& entry, uint32_t command);
  io_uring_sqe& NextSqe();
  void WatchStop();
  void WatchAnswers();
  void WatchTeardown();
  // Ends the ring, and waits until the kernel has let go of its entries.
  void TearDown();

  // Takes the answers of other threads, and says that the ring is about to be waited on.
  void CommitAnswersOfOthers();
  // How many entries came back from the kernel.
  uint32_t HandleCompletions();
  void HandleEntry(Entry& entry, int result);
  void ReceiveRequest(Entry& entry);
  void GiveBackPages();

  // From any thread: the entry holds an answer.
  void Answered(Entry& entry);

  const RingQueueOptions options_;
  const int device_fd_;
  RequestSink& sink_;
  StopEvent& stop_;

  // Of the queue's thread, but for set-up.
  io_uring ring_{};
  bool has_ring_ = false;
  int teardown_fd_ = -1;  // the writing end of a pipe whose reading end the ring alone holds
  std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  std::vector<Entry> entries_;
  std::thread::id thread_;
  ReceiverWatch::Seat* seat_ = nullptr;
  uint32_t kernel_count_ = 0;  // entries that the kernel has
  uint32_t ours_count_ = 0;
  uint64_t resident_bytes_ = 0;
  uint64_t unsubmitted_bytes_ = 0;
  std::vector<Entry*> committed_;  // since the last wait, with pages to give back
  std::vector<Entry*> taken_;
  Result<> outcome_;

  // Shared with the threads that answer.
  int answers_fd_ = -1;  // an eventfd
  uint64_t answers_fd_value_ = 0;
  std::mutex mutex_;  // guards what follows
  std::vector<Entry*> answered_;
  bool waiting_ = false;
};

}  // namespace shoal
