#include "fuse/ring_queue.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "fuse/init_exchange.h"

namespace shoal {
namespace {

// The start of a payload, where requests' own bytes lie: the kernel may write there at any
// time. Further on, only our answers do.
constexpr size_t kInputRoomBytes = kInputBytesMax + 4096;
// With so much copied, the reader of the first answer should not wait for the last.
constexpr uint64_t kUnsubmittedBytesMax = 256 * 1024;

// Answers that take longer to copy than a thread to move, and how many of them in a row begin a
// stream.
constexpr uint64_t kLargeAnswerBytes = 256 * 1024;
constexpr uint32_t kStreamAnswers = 8;

// user_data of what is not an entry.
constexpr uint64_t kStopTag = ~uint64_t{0};
constexpr uint64_t kAnswersTag = kStopTag - 1;
constexpr uint64_t kTrackedTag = kStopTag - 2;
constexpr uint32_t kTagCount = 3;
constexpr uint64_t kFirstTag = kTrackedTag;

// The numbers of requests that the kernel makes because we ask for them; its own are small.
constexpr uint64_t kOwnRequests = uint64_t{1} << 62;
// As many of those that wait are then under way at a time, until others come.
constexpr uint32_t kAskedAtStart = 8;

Result<> FailSystem(const std::string& what, int error) {
  return Fail(Errc::kUnsupported, what + ": " + std::strerror(error));
}

}  // namespace

RingQueue::RingQueue(const RingQueueOptions& options, int device_fd, RingMemory& memory)
    : options_(options), device_fd_(device_fd), memory_(memory) {
  const RingGeometry& geometry = memory.geometry();
  for (uint32_t i = 0; i < geometry.entry_count; ++i)
    entries_.emplace_back(i, memory.page(options.queue_id, i), memory.payload(options.queue_id, i),
                          geometry.payload_bytes, answered_callback_);
}

RingQueue::~RingQueue() {
  if (has_ring_) io_uring_queue_exit(&ring_);
  if (answers_fd_ >= 0) close(answers_fd_);
}

Result<std::unique_ptr<RingQueue>> RingQueue::Make(const RingQueueOptions& options, int device_fd,
                                                   RingMemory& memory) {
  std::unique_ptr<RingQueue> queue(new RingQueue(options, device_fd, memory));
  const auto command_count = static_cast<unsigned>(queue->entries_.size()) + kTagCount;
  io_uring_params params{};
  // Not DEFER_TASKRUN: it was measured to cost more switches here, not fewer.
  params.flags = IORING_SETUP_SQE128 | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = 2 * command_count;
  if (const int error = io_uring_queue_init_params(command_count, &queue->ring_, &params);
      error != 0)
    return tl::unexpected(FailSystem("io_uring_setup", -error).error());
  queue->has_ring_ = true;
  io_uring_params idle{};
  queue->idle_ring_ = FileDescriptor(static_cast<int>(syscall(SYS_io_uring_setup, 1, &idle)));
  if (!queue->idle_ring_.valid())
    return tl::unexpected(FailSystem("io_uring_setup", errno).error());
  io_uring_ring_dontfork(&queue->ring_);  // a child would keep it from going
  queue->answers_fd_ = eventfd(0, EFD_CLOEXEC);
  if (queue->answers_fd_ < 0) return tl::unexpected(FailSystem("eventfd", errno).error());
  return queue;
}

void RingQueue::PinThread() {
  cpu_set_t cpu;
  CPU_ZERO(&cpu);
  CPU_SET(options_.queue_id, &cpu);
  sched_setaffinity(0, sizeof(cpu), &cpu);  // fails for a CPU that is off: then it has no requests
  is_pinned_ = true;
}

// Beside the reader is the best place to answer what is small: nothing has to wake another
// processor. A stream is copied while its reader looks at what came before, so that both on one
// processor are slower, by a seventh; and there a scheduler that packs would leave it.
void RingQueue::ChoosePlace(uint64_t answer_bytes) {
  large_in_a_row_ = answer_bytes >= kLargeAnswerBytes ? large_in_a_row_ + 1 : 0;
  if (is_pinned_ && large_in_a_row_ == kStreamAnswers) {
    allowed_cpus_.ApplyBut(options_.queue_id);
    is_pinned_ = false;
  } else if (!is_pinned_ && large_in_a_row_ == 0) {
    PinThread();
  }
}

void RingQueue::Register(bool beside_another) {
  thread_ = std::this_thread::get_id();
  pthread_setname_np(pthread_self(), ("fuse-ring-" + std::to_string(options_.queue_id)).c_str());
  PinThread();
  BeTracked();
  WatchAnswers();
  // Those with a request become ours as well. But some are needed for what comes now.
  uint32_t left_count = 0;
  for (const RingEntry& entry : entries_) left_count += LeftIn(entry) != RingEntry::Left::kNothing;
  const uint32_t count =
      std::max(options_.depth - std::min(options_.depth, left_count), options_.depth / 8);
  for (RingEntry& entry : entries_) {
    if (kernel_count_ == count) break;
    const bool is_taken = beside_another && OwnerOf(entry).load() == memory_.serving_turn();
    if (!is_taken && LeftIn(entry) == RingEntry::Left::kNothing) RegisterEntry(entry);
  }
  io_uring_submit(&ring_);
}

Result<> RingQueue::Serve(RequestSink& sink, StopEvent& stop, uint64_t open_file) {
  sink_ = &sink;
  stop_ = &stop;
  seat_ = &sink.AddSeat();
  WatchStop();
  Adopt();
  if (open_file != 0) AskForWaiting(open_file);
  while (outcome_ || ours_count_ > 0) {
    const Course course = CommitAnswersOfOthers();
    if (course == Course::kHold) {
      StayOnHold();
      break;
    }
    // Requests that are here already are answered; those that come later are the next
    // session's, or are told that the mount is gone.
    const bool may_end = course == Course::kMayEnd && stop.raised();
    const bool ending = ours_count_ == 0 && (kernel_count_ == 0 || may_end);
    Submit(!ending);
    if (HandleCompletions() == 0 && ending) break;
  }
  stop.Raise();
  {
    const MutexLock lock(mutex_);
    ended_ = true;
  }
  passed_.NotifyAll();
  return outcome_;
}

std::atomic<uint64_t>& RingQueue::OwnerOf(const RingEntry& entry) {
  return memory_.owner(options_.queue_id, entry.index);
}

RingEntry::Left RingQueue::LeftIn(const RingEntry& entry) {
  return OwnerOf(entry).load() == 0 ? RingEntry::Left::kNothing : entry.left();
}

// After the one before is gone: nobody writes into its entries any more.
void RingQueue::Adopt() {
  for (RingEntry& entry : entries_) {
    if (OwnerOf(entry).load() == memory_.turn()) continue;
    switch (LeftIn(entry)) {
      case RingEntry::Left::kNothing:
        Disown(entry);
        break;
      case RingEntry::Left::kAnswer:  // the kernel may have it: then it does not know the id
        OwnerOf(entry).store(memory_.turn());
        ++ours_count_;
        entry.TakeAnswer();
        Commit(entry);
        break;
      case RingEntry::Left::kRequest:
        OwnerOf(entry).store(memory_.turn());
        RemovePages(entry);
        ReceiveRequest(entry, /*again=*/true);
        break;
    }
  }
}

void RingQueue::Submit(bool waits) {
  const int result =
      waits ? io_uring_submit_and_wait(&ring_, 1) : io_uring_submit_and_get_events(&ring_);
  unsubmitted_bytes_ = 0;
  if (io_uring_sq_ready(&ring_) == 0) {
    for (const Committed& committed : committed_) committed.entry->MarkCommitted(committed.id);
    GiveBackPages();
    committed_.clear();
  } else {
    // The kernel took some of them, and may have given those their next request.
    for (Committed& committed : committed_) committed.is_all_it_holds = false;
  }
  if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY && outcome_) {
    outcome_ = FailSystem("io_uring_enter", -result);
    stop_->Raise();
  }
}

// Nothing is committed from here on. What comes stays in its entry for the next process.
void RingQueue::StayOnHold() {
  PinThread();  // who chose one of our entries here fills it before this thread comes by
  while (true) {
    uint64_t asked = 0;
    bool is_asked_again = false;
    {
      const MutexLock lock(mutex_);
      asked = holds_asked_;
    }
    // What the kernel meant for us it puts into our entries when this thread comes by. What is
    // dropped came before: who wakes us later finds that we are about to wait.
    Submit(/*waits=*/false);
    DropCompletions();
    if (stop_->raised()) break;
    {
      const MutexLock lock(mutex_);
      holds_passed_ = asked;
      is_asked_again = holds_asked_ != asked;
      waiting_ = !is_asked_again;
    }
    passed_.NotifyAll();
    if (!is_asked_again) Submit(/*waits=*/true);
  }
  // Others may still be about to write into our entries.
  const MutexLock lock(mutex_);
  while (answered_.size() != ours_count_) passed_.Wait(mutex_);
}

void RingQueue::DropCompletions() {
  unsigned head = 0;
  unsigned count = 0;
  bool was_woken = false;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++count;
    was_woken |= cqe->user_data == kAnswersTag;
    if (cqe->user_data >= kFirstTag || cqe->res >= 0) continue;
    RingEntry& entry = entries_[cqe->user_data];
    if (entry.last_command == kRingCommitAndFetch) entry.OnRefused();
  }
  io_uring_cq_advance(&ring_, count);
  if (was_woken) WatchAnswers();
}

void RingQueue::MayEnd() {
  const MutexLock lock(mutex_);
  may_end_ = true;
  WakeLocked();
}

void RingQueue::Hold() {
  const MutexLock lock(mutex_);
  const uint64_t this_one = ++holds_asked_;
  WakeLocked();
  while (holds_passed_ < this_one && !ended_) passed_.Wait(mutex_);
}

io_uring_sqe& RingQueue::NextSqe() {
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  // There is one for each entry and each tag, which have at most one under way.
  if (sqe == nullptr) std::abort();
  return *sqe;
}

io_uring_sqe& RingQueue::PrepareCommand(RingEntry& entry, uint32_t command) {
  io_uring_sqe& sqe = NextSqe();
  // SQE128: the command begins in the first half and goes on in the second.
  auto* const bytes = reinterpret_cast<std::byte*>(&sqe);
  std::fill_n(bytes, 128, std::byte{0});
  sqe.opcode = IORING_OP_URING_CMD;
  sqe.fd = device_fd_;
  sqe.cmd_op = command;
  sqe.user_data = entry.index;
  const RingCommand body{
      0, command == kRingRegister ? 0 : entry.commit_id(), options_.queue_id, {}};
  std::memcpy(bytes + offsetof(io_uring_sqe, cmd), &body, sizeof(body));
  entry.last_command = command;
  ++kernel_count_;
  return sqe;
}

// What its process has left in memory is in nobody's account.
void RingQueue::Disown(RingEntry& entry) {
  const uint64_t owner = OwnerOf(entry).exchange(0);
  if (owner != 0 && owner != memory_.turn()) RemovePages(entry);
}

void RingQueue::RemovePages(RingEntry& entry) {
  madvise(entry.payload() + kInputRoomBytes, memory_.geometry().payload_bytes - kInputRoomBytes,
          MADV_REMOVE);
}

void RingQueue::RegisterEntry(RingEntry& entry) {
  Disown(entry);
  OwnerOf(entry).store(memory_.turn());
  io_uring_sqe& sqe = PrepareCommand(entry, kRingRegister);
  sqe.addr = reinterpret_cast<uint64_t>(entry.buffers());
  sqe.len = 2;
}

void RingQueue::Commit(RingEntry& entry) {
  entry.MarkAnswered();
  PrepareCommand(entry, kRingCommitAndFetch);
  --ours_count_;
  const uint64_t length = entry.answer_bytes();
  ChoosePlace(length);
  unsubmitted_bytes_ += length;
  if (length > kInputRoomBytes && length - kInputRoomBytes > entry.resident_bytes) {
    resident_bytes_ += length - kInputRoomBytes - entry.resident_bytes;
    entry.resident_bytes = length - kInputRoomBytes;
  }
  committed_.push_back({&entry, entry.commit_id()});
}

void RingQueue::WatchStop() {
  io_uring_sqe& sqe = NextSqe();
  io_uring_prep_poll_add(&sqe, stop_->fd(), POLLIN);
  sqe.user_data = kStopTag;
}

void RingQueue::WatchAnswers() {
  io_uring_sqe& sqe = NextSqe();
  io_uring_prep_read(&sqe, answers_fd_, &answers_fd_value_, sizeof(answers_fd_value_), 0);
  sqe.user_data = kAnswersTag;
}

// A task that dies is given requests until its rings are gone, some milliseconds later, and Linux
// ends each of those with ECANCELED, or never. But one that has a request on a file of io_uring
// cancels what its own rings hold first of all, when it can still take what is on its way: such
// requests are *tracked*, lest rings keep each other (6.18, do_exit in kernel/exit.c,
// io_uring_cancel_generic in io_uring/). So there is one, on a ring where nothing happens.
void RingQueue::BeTracked() {
  io_uring_sqe& sqe = NextSqe();
  io_uring_prep_poll_add(&sqe, idle_ring_.get(), POLLIN);
  sqe.user_data = kTrackedTag;
}

// What came while there was no entry waits in the kernel until an answer is committed on its CPU.
// So that there are some to commit, each of these has the kernel send nothing of an open file,
// which is there whatever became of the mount's path.
//
// An id never comes again, of whichever process: two requests of one id, the first of them left by
// a process that was told to hold before it looked, are one to the kernel. It answers the first
// through the entry of the second, and what comes to the first's entry then is nobody's.
void RingQueue::AskForWaiting(uint64_t open_file) {
  for (uint32_t i = 0; i < kAskedAtStart; ++i) {
    struct {
      fuse_out_header header{static_cast<uint32_t>(sizeof(*this)), FUSE_NOTIFY_RETRIEVE, 0};
      fuse_notify_retrieve_out body{};
    } notification;
    notification.body.notify_unique =
        kOwnRequests | ((memory_.turn() << 16 | options_.queue_id) * kAskedAtStart + i) << 1;
    notification.body.nodeid = open_file;
    if (write(device_fd_, &notification, sizeof(notification)) < 0) {
      log::Warn("what waits for CPU {} may go on waiting until the next call there: {}",
                options_.queue_id, std::strerror(errno));
      return;
    }
  }
}

void RingQueue::Answered(RingEntry& entry) {
  if (std::this_thread::get_id() == thread_) {
    Commit(entry);
    return;
  }
  // All within the lock: once it is free, the queue may commit the entry, end, and be gone.
  const MutexLock lock(mutex_);
  answered_.push_back(&entry);
  if (holds_asked_ == 0) return WakeLocked();
  passed_.NotifyAll();
}

void RingQueue::WakeLocked() {
  if (!std::exchange(waiting_, false)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(answers_fd_, &one, sizeof(one));
}

RingQueue::Course RingQueue::CommitAnswersOfOthers() {
  taken_.clear();
  Course course = Course::kServe;
  {
    const MutexLock lock(mutex_);
    if (holds_asked_ > 0) return Course::kHold;
    if (may_end_) course = Course::kMayEnd;
    taken_.swap(answered_);
    waiting_ = true;
  }
  for (RingEntry* const entry : taken_) Commit(*entry);
  return course;
}

uint32_t RingQueue::HandleCompletions() {
  unsigned head = 0;
  unsigned count = 0;
  uint32_t entry_count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++count;
    if (cqe->user_data == kAnswersTag) {
      WatchAnswers();
    } else if (cqe->user_data < kFirstTag) {
      ++entry_count;
      HandleEntry(entries_[cqe->user_data], cqe->res);
    }
    if (unsubmitted_bytes_ > kUnsubmittedBytesMax) Submit(/*waits=*/false);
  }
  io_uring_cq_advance(&ring_, count);
  return entry_count;
}

void RingQueue::HandleEntry(RingEntry& entry, int result) {
  --kernel_count_;
  switch (-result) {
    case 0:
      ReceiveRequest(entry, /*again=*/false);
      break;
    case EAGAIN:
    case EINTR:
      Retry(entry);
      break;
    case ENOENT:  // the answered request was aborted, or another process had answered it
      RegisterEntry(entry);
      break;
    case ENOTCONN:  // unmounted
    case ECONNABORTED:
    case ECANCELED:
      break;
    default:
      if (outcome_ && !stop_->raised())
        outcome_ =
            Fail(Errc::kUnreachable, std::string("the FUSE ring ended: ") + std::strerror(-result));
      stop_->Raise();
  }
}

void RingQueue::Retry(RingEntry& entry) {
  if (entry.last_command == kRingRegister) {
    RegisterEntry(entry);
  } else {
    entry.OnRefused();
    PrepareCommand(entry, kRingCommitAndFetch);
    committed_.push_back({&entry, entry.commit_id()});
  }
}

void RingQueue::ReceiveRequest(RingEntry& entry, bool again) {
  ++ours_count_;
  const std::span<std::byte> message = entry.Receive(again);
  if (message.empty()) return entry.Refuse();
  const auto* header = reinterpret_cast<const fuse_in_header*>(message.data());
  if (header->opcode == FUSE_NOTIFY_REPLY) {
    fuse_out_header done{sizeof(done), 0, header->unique};
    const iovec part{&done, sizeof(done)};
    entry.Send({&part, 1});
    return;
  }
  sink_->Receive(message, &entry, *seat_);
}

// The kernel has taken the answers by now. It may have put another request into an entry
// already, but not beyond the input room, and its completion was not looked at yet.
void RingQueue::GiveBackPages() {
  for (const Committed& committed : committed_) {
    if (resident_bytes_ <= options_.resident_bytes_max) break;
    if (!committed.is_all_it_holds || committed.entry->resident_bytes == 0) continue;
    RemovePages(*committed.entry);
    resident_bytes_ -= std::exchange(committed.entry->resident_bytes, 0);
  }
}

}  // namespace shoal
