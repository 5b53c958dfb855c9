#include "fuse/ring_queue.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "fuse/init_exchange.h"

namespace shoal {
namespace {

constexpr size_t kHeaderPageBytes = 4096;
// The start of a payload, where requests' own bytes lie: the kernel may write there at any
// time. Further on, only our answers do.
constexpr size_t kInputRoomBytes = kInputBytesMax + 4096;
// With so much copied, the reader of the first answer should not wait for the last.
constexpr uint64_t kUnsubmittedBytesMax = 256 * 1024;

// user_data of what is not an entry.
constexpr uint64_t kStopTag = ~uint64_t{0};
constexpr uint64_t kAnswersTag = kStopTag - 1;
constexpr uint64_t kTeardownTag = kStopTag - 2;
constexpr uint32_t kTagCount = 3;

// A ring goes within a few milliseconds; nothing depends on it but requests that come then.
constexpr int kTeardownWaitMs = 1000;

Result<> FailSystem(const std::string& what, int error) {
  return Fail(Errc::kUnsupported, what + ": " + std::strerror(error));
}

}  // namespace

class RingQueue::Entry final : public ReplyPort {
 public:
  Entry(RingQueue& queue, std::byte* header_page, std::byte* payload)
      : queue_(queue),
        header_(reinterpret_cast<RingHeader*>(header_page)),
        payload_(payload),
        buffers_{{header_page, kHeaderPageBytes}, {payload, queue.options_.payload_bytes}} {}

  int Send(std::span<const iovec> parts) override {
    fuse_out_header out{};
    std::memcpy(&out, parts[0].iov_base, sizeof(out));
    size_t length = 0;
    for (const iovec& part : parts.subspan(1)) {
      if (part.iov_len > queue_.options_.payload_bytes - length) {
        log::Error("an answer is longer than the {} bytes asked for",
                   queue_.options_.payload_bytes);
        out.error = -EIO;
        length = 0;
        break;
      }
      // What was made in AnswerRoom is there already.
      if (part.iov_base != payload_ + length)
        std::memcpy(payload_ + length, part.iov_base, part.iov_len);
      length += part.iov_len;
    }
    out.len = static_cast<uint32_t>(sizeof(out) + length);
    std::memcpy(header_->in_out, &out, sizeof(out));
    header_->payload_bytes = static_cast<uint32_t>(length);
    queue_.Answered(*this);
    return 0;
  }

  // The request's own bytes lie here, too, if it has any beside its struct.
  std::span<std::byte> AnswerRoom() override {
    if (header_->payload_bytes > 0) return {};
    return {payload_, queue_.options_.payload_bytes};
  }

  // The request in one piece: its header and its struct are moved to the end of the header
  // page, right before the payload. Empty if the lengths do not fit together.
  [[nodiscard]] std::span<std::byte> Message() {
    fuse_in_header in{};
    std::memcpy(&in, header_->in_out, sizeof(in));
    const size_t payload_bytes = header_->payload_bytes;
    const size_t head_bytes = in.len - payload_bytes;
    if (in.len < sizeof(in) + payload_bytes ||
        head_bytes - sizeof(in) > sizeof(header_->operation_in) ||
        payload_bytes > queue_.options_.payload_bytes)
      return {};
    std::byte* const start = payload_ - head_bytes;
    std::memcpy(start, &in, sizeof(in));
    std::memcpy(start + sizeof(in), header_->operation_in, head_bytes - sizeof(in));
    return {start, in.len};
  }

  RingQueue& queue_;
  RingHeader* const header_;
  std::byte* const payload_;
  iovec buffers_[2];
  uint64_t commit_id_ = 0;       // of the request that is ours
  uint32_t last_command_ = 0;    // for a retry
  uint64_t resident_bytes_ = 0;  // that answers have left beyond the input room
};

RingQueue::RingQueue(const RingQueueOptions& options, int device_fd, RequestSink& sink,
                     StopEvent& stop)
    : options_(options), device_fd_(device_fd), sink_(sink), stop_(stop) {}

RingQueue::~RingQueue() {
  if (has_ring_) io_uring_queue_exit(&ring_);
  if (answers_fd_ >= 0) close(answers_fd_);
  if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

Result<std::unique_ptr<RingQueue>> RingQueue::Make(const RingQueueOptions& options, int device_fd,
                                                   RequestSink& sink, StopEvent& stop) {
  std::unique_ptr<RingQueue> queue(new RingQueue(options, device_fd, sink, stop));
  RETURN_IF_ERROR(queue->MapMemory());

  io_uring_params params{};
  // Not DEFER_TASKRUN: it was measured to cost more switches here, not fewer.
  params.flags = IORING_SETUP_SQE128 | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = 2 * (options.depth + kTagCount);
  if (const int error =
          io_uring_queue_init_params(options.depth + kTagCount, &queue->ring_, &params);
      error != 0)
    return tl::unexpected(FailSystem("io_uring_setup", -error).error());
  queue->has_ring_ = true;
  queue->answers_fd_ = eventfd(0, EFD_CLOEXEC);
  if (queue->answers_fd_ < 0) return tl::unexpected(FailSystem("eventfd", errno).error());
  return queue;
}

Result<> RingQueue::MapMemory() {
  const size_t stride_bytes = kHeaderPageBytes + options_.payload_bytes;
  memory_bytes_ = stride_bytes * options_.depth;
  void* memory = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return FailSystem("memory for the ring", errno);
  memory_ = static_cast<std::byte*>(memory);
  // Huge pages would make every small answer resident as two megabytes.
  madvise(memory_, memory_bytes_, MADV_NOHUGEPAGE);
  entries_.reserve(options_.depth);
  for (uint32_t i = 0; i < options_.depth; ++i) {
    std::byte* const header_page = memory_ + i * stride_bytes;
    entries_.emplace_back(*this, header_page, header_page + kHeaderPageBytes);
  }
  return {};
}

Result<> RingQueue::Serve(const std::function<void()>& registered) {
  thread_ = std::this_thread::get_id();
  seat_ = &sink_.AddSeat();
  pthread_setname_np(pthread_self(), ("fuse-ring-" + std::to_string(options_.queue_id)).c_str());
  cpu_set_t cpu;
  CPU_ZERO(&cpu);
  CPU_SET(options_.queue_id, &cpu);
  sched_setaffinity(0, sizeof(cpu), &cpu);  // fails for a CPU that is off: then it has no requests

  WatchStop();
  WatchAnswers();
  WatchTeardown();
  for (Entry& entry : entries_) Register(entry);
  io_uring_submit(&ring_);
  registered();
  while (outcome_ || ours_count_ > 0) {
    CommitAnswersOfOthers();
    // Requests that are here already are answered; those that come later are the next
    // session's, or are told that the mount is gone.
    const bool ending = ours_count_ == 0 && (kernel_count_ == 0 || stop_.raised());
    const int result =
        ending ? io_uring_submit_and_get_events(&ring_) : io_uring_submit_and_wait(&ring_, 1);
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY && outcome_) {
      outcome_ = FailSystem("io_uring_enter", -result);
      stop_.Raise();
    }
    GiveBackPages();
    unsubmitted_bytes_ = 0;
    if (HandleCompletions() == 0 && ending) break;
  }
  TearDown();
  stop_.Raise();
  return outcome_;
}

io_uring_sqe& RingQueue::NextSqe() {
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  // There is one for each entry and each tag, which have at most one under way.
  if (sqe == nullptr) std::abort();
  return *sqe;
}

io_uring_sqe& RingQueue::PrepareCommand(Entry& entry, uint32_t command) {
  io_uring_sqe& sqe = NextSqe();
  // SQE128: the command begins in the first half and goes on in the second.
  auto* const bytes = reinterpret_cast<std::byte*>(&sqe);
  std::fill_n(bytes, 128, std::byte{0});
  sqe.opcode = IORING_OP_URING_CMD;
  sqe.fd = device_fd_;
  sqe.cmd_op = command;
  sqe.user_data = static_cast<uint64_t>(&entry - entries_.data());
  const RingCommand body{0, command == kRingRegister ? 0 : entry.commit_id_, options_.queue_id, {}};
  std::memcpy(bytes + offsetof(io_uring_sqe, cmd), &body, sizeof(body));
  entry.last_command_ = command;
  ++kernel_count_;
  return sqe;
}

void RingQueue::Register(Entry& entry) {
  io_uring_sqe& sqe = PrepareCommand(entry, kRingRegister);
  sqe.addr = reinterpret_cast<uint64_t>(entry.buffers_);
  sqe.len = 2;
}

void RingQueue::Commit(Entry& entry) {
  PrepareCommand(entry, kRingCommitAndFetch);
  --ours_count_;
  const uint64_t length = entry.header_->payload_bytes;
  unsubmitted_bytes_ += length;
  if (length > kInputRoomBytes && length - kInputRoomBytes > entry.resident_bytes_) {
    resident_bytes_ += length - kInputRoomBytes - entry.resident_bytes_;
    entry.resident_bytes_ = length - kInputRoomBytes;
  }
  if (entry.resident_bytes_ > 0 && resident_bytes_ > options_.resident_bytes_max)
    committed_.push_back(&entry);
}

void RingQueue::WatchStop() {
  io_uring_sqe& sqe = NextSqe();
  io_uring_prep_poll_add(&sqe, stop_.fd(), POLLIN);
  sqe.user_data = kStopTag;
}

void RingQueue::WatchAnswers() {
  io_uring_sqe& sqe = NextSqe();
  io_uring_prep_read(&sqe, answers_fd_, &answers_fd_value_, sizeof(answers_fd_value_), 0);
  sqe.user_data = kAnswersTag;
}

void RingQueue::WatchTeardown() {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return;
  teardown_fd_ = pipe_fds[1];
  io_uring_sqe& sqe = NextSqe();
  io_uring_prep_poll_add(&sqe, pipe_fds[0], POLLIN);
  sqe.user_data = kTeardownTag;
  io_uring_submit(&ring_);
  close(pipe_fds[0]);
}

// Closing a ring cancels what it holds some time later, and says nothing of it. But then the
// ring lets go of the pipe, too.
void RingQueue::TearDown() {
  io_uring_queue_exit(&ring_);
  has_ring_ = false;
  if (teardown_fd_ < 0) return;
  pollfd reader_gone{teardown_fd_, 0, 0};
  poll(&reader_gone, 1, kTeardownWaitMs);
  close(std::exchange(teardown_fd_, -1));
}

void RingQueue::Answered(Entry& entry) {
  if (std::this_thread::get_id() == thread_) {
    Commit(entry);
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    answered_.push_back(&entry);
    // Within the lock: once it is free, the queue may commit the entry, end, and be gone.
    if (std::exchange(waiting_, false)) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = write(answers_fd_, &one, sizeof(one));
    }
  }
}

void RingQueue::CommitAnswersOfOthers() {
  taken_.clear();
  {
    const std::scoped_lock lock(mutex_);
    taken_.swap(answered_);
    waiting_ = true;
  }
  for (Entry* const entry : taken_) Commit(*entry);
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
    } else if (cqe->user_data != kStopTag && cqe->user_data != kTeardownTag) {
      ++entry_count;
      HandleEntry(entries_[cqe->user_data], cqe->res);
    }
    if (unsubmitted_bytes_ > kUnsubmittedBytesMax) {
      unsubmitted_bytes_ = 0;
      io_uring_submit(&ring_);
      GiveBackPages();
    }
  }
  io_uring_cq_advance(&ring_, count);
  return entry_count;
}

void RingQueue::HandleEntry(Entry& entry, int result) {
  --kernel_count_;
  switch (-result) {
    case 0:
      ReceiveRequest(entry);
      break;
    case EAGAIN:
    case EINTR:
      Retry(entry);
      break;
    case ENOENT:  // the answered request was aborted
      Register(entry);
      break;
    case ENOTCONN:  // unmounted
    case ECONNABORTED:
    case ECANCELED:
      break;
    default:
      if (outcome_ && !stop_.raised())
        outcome_ =
            Fail(Errc::kUnreachable, std::string("the FUSE ring ended: ") + std::strerror(-result));
      stop_.Raise();
  }
}

void RingQueue::Retry(Entry& entry) {
  if (entry.last_command_ == kRingRegister) {
    Register(entry);
  } else {
    PrepareCommand(entry, kRingCommitAndFetch);
  }
}

void RingQueue::ReceiveRequest(Entry& entry) {
  ++ours_count_;
  entry.commit_id_ = entry.header_->commit_id;
  const std::span<std::byte> message = entry.Message();
  if (!message.empty()) return sink_.Receive(message, &entry, *seat_);
  fuse_in_header in{};
  std::memcpy(&in, entry.header_->in_out, sizeof(in));
  log::Error("a request (operation {}) whose parts do not make up its length", in.opcode);
  fuse_out_header refusal{sizeof(refusal), -EIO, in.unique};
  const iovec part{&refusal, sizeof(refusal)};
  entry.Send({&part, 1});
}

// The kernel has taken the answers by now. It may have put another request into an entry
// already, but not beyond the input room, and its completion was not looked at yet.
void RingQueue::GiveBackPages() {
  for (Entry* const entry : committed_) {
    if (resident_bytes_ <= options_.resident_bytes_max) break;
    madvise(entry->payload_ + kInputRoomBytes, options_.payload_bytes - kInputRoomBytes,
            MADV_DONTNEED);
    resident_bytes_ -= std::exchange(entry->resident_bytes_, 0);
  }
  committed_.clear();
}

}  // namespace shoal
