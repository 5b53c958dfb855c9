// One queue of FUSE over io_uring: the requests of the processes on one CPU.
//
// `depth` requests of one CPU can be under way, an entry each (ring_entry.h); the next wait in
// the kernel. Of two processes that have given the kernel entries, it uses those of the one
// that did so last: what it gave back or got last it takes first (Linux 6.18,
// fuse_uring_ent_avail in fs/fuse/dev_uring.c). That is how one process
// takes over from another that lives, and loses nothing:
//
//   the first:  Hold          commits no more; what it is asked stays in its entries
//   the second: Register      what is asked from now on comes to its entries
//   the first:  Hold again    by its return all that is the first's is in its entries; it is
//                             killed
//   the second: Serve         answers what it finds in the entries of the first, too
//
// One that died without this left its requests in its entries as well: dying, it takes what the
// kernel was about to give it (BeTracked), and what comes later waits in the kernel.
//
// Only the queue's own thread touches its ring. Others write their answer into the entry and
// hand it over.
#pragma once

#include <liburing.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_mask.h"
#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "base/result.h"
#include "fuse/ring_entry.h"
#include "fuse/ring_memory.h"
#include "fuse/stop_event.h"
#include "fuse/transport.h"

namespace shoal {

struct RingQueueOptions {
  uint16_t queue_id = 0;  // the CPU
  uint32_t depth = 0;     // entries to register
  // Answers' bytes that may stay in memory between requests. Above, pages are given back.
  uint64_t resident_bytes_max = 0;
};

class RingQueue {
 public:
  // Makes the ring, and asks the kernel for nothing yet. kUnsupported: it was refused. `memory`
  // and `device_fd` outlive the queue.
  static Result<std::unique_ptr<RingQueue>> Make(const RingQueueOptions& options, int device_fd,
                                                 RingMemory& memory);
  ~RingQueue();
  RingQueue(const RingQueue&) = delete;
  RingQueue& operator=(const RingQueue&) = delete;

  // Gives the kernel entries, on the calling thread, which becomes the queue's and stays on the
  // CPU but for streams of large answers. `beside_another`: a process that lives serves this queue,
  // on hold; its entries are left alone. Otherwise those with an unanswered request are.
  void Register(bool beside_another);

  // On the same thread: answers what a process that is gone left in its entries, and serves
  // until the stop event and MayEnd; returns once no entry is ours. What comes after that lies in
  // the entries when the thread has ended, or waits in the kernel. An error raises the stop event.
  // `open_file`: an inode for AskForWaiting; 0: do not. The other two outlive the queue.
  Result<> Serve(RequestSink& sink, StopEvent& stop, uint64_t open_file);

  // From any other thread: nothing that must be answered is under way any more.
  void MayEnd();

  // From another thread, one at a time: from now on, or once it serves, nothing is answered, and
  // by the return all that the kernel meant for this process until the call is in its entries.
  // Only a stop ends it.
  void Hold();

 private:
  RingQueue(const RingQueueOptions& options, int device_fd, RingMemory& memory);

  void PinThread();
  void ChoosePlace(uint64_t answer_bytes);
  void BeTracked();
  std::atomic<uint64_t>& OwnerOf(const RingEntry& entry);
  RingEntry::Left LeftIn(const RingEntry& entry);
  void Adopt();
  void RegisterEntry(RingEntry& entry);
  void Disown(RingEntry& entry);
  void RemovePages(RingEntry& entry);
  void Commit(RingEntry& entry);
  void Retry(RingEntry& entry);
  io_uring_sqe& PrepareCommand(RingEntry& entry, uint32_t command);
  io_uring_sqe& NextSqe();
  // What was prepared; then waits for a completion, if it `waits`. An error is the outcome.
  void Submit(bool waits);
  void WatchStop();
  void WatchAnswers();
  void AskForWaiting(uint64_t open_file);

  enum class Course : uint8_t { kServe, kMayEnd, kHold };
  // Takes the answers of other threads, and says that the ring is about to be waited on.
  Course CommitAnswersOfOthers();
  // How many entries came back from the kernel.
  uint32_t HandleCompletions();
  void HandleEntry(RingEntry& entry, int result);
  void ReceiveRequest(RingEntry& entry, bool again);
  void GiveBackPages();
  void StayOnHold();
  void DropCompletions();

  // From any thread: the entry holds an answer.
  void Answered(RingEntry& entry);
  void WakeLocked() REQUIRES(mutex_);

  struct Committed {
    RingEntry* entry;
    uint64_t id;                  // the entry may have the next by then
    bool is_all_it_holds = true;  // no: it may be answering that one
  };

  const RingQueueOptions options_;
  const int device_fd_;
  RingMemory& memory_;
  const RingEntry::Answered answered_callback_ = [this](RingEntry& entry) { Answered(entry); };
  RequestSink* sink_ = nullptr;  // from Serve on
  StopEvent* stop_ = nullptr;

  // Of the queue's thread, but for set-up.
  io_uring ring_{};
  bool has_ring_ = false;
  FileDescriptor idle_ring_;
  std::deque<RingEntry> entries_;  // all that are in the memory
  std::thread::id thread_;
  ReceiverWatch::Seat* seat_ = nullptr;
  uint32_t kernel_count_ = 0;  // entries that the kernel has
  uint32_t ours_count_ = 0;
  uint64_t resident_bytes_ = 0;
  const CpuMask allowed_cpus_;  // of the thread that made this
  bool is_pinned_ = false;
  uint32_t large_in_a_row_ = 0;  // answers
  uint64_t unsubmitted_bytes_ = 0;
  std::vector<Committed> committed_;  // since the last submission
  std::vector<RingEntry*> taken_;
  Result<> outcome_;

  // Shared with the threads that answer.
  int answers_fd_ = -1;  // an eventfd
  uint64_t answers_fd_value_ = 0;
  Mutex mutex_;
  CondVar passed_;
  std::vector<RingEntry*> answered_ GUARDED_BY(mutex_);
  bool waiting_ GUARDED_BY(mutex_) = false;
  uint64_t holds_asked_ GUARDED_BY(mutex_) = 0;  // how often
  // How many of them it has been to the kernel since.
  uint64_t holds_passed_ GUARDED_BY(mutex_) = 0;
  bool ended_ GUARDED_BY(mutex_) = false;
  bool may_end_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal
