#include "fuse/device_transport.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/start_thread.h"
#include "fuse/init_exchange.h"

namespace shoal {
namespace {

// What is longer the kernel fails with EIO: an ioctl, which is refused as it should be, brings up
// to 16 KiB.
constexpr size_t kBufferBytes = 32 * 1024;
static_assert(kBufferBytes >= kInputBytesMax + 4096);

size_t TotalBytes(std::span<const iovec> parts) {
  size_t total_bytes = 0;
  for (const iovec& part : parts) total_bytes += part.iov_len;
  return total_bytes;
}

// One write, whatever the number of parts: the kernel takes an answer whole.
ssize_t WriteWhole(int fd, std::span<const iovec> parts) {
  if (parts.size() <= IOV_MAX) return writev(fd, parts.data(), static_cast<int>(parts.size()));
  const size_t total_bytes = TotalBytes(parts);
  const auto joined = std::make_unique_for_overwrite<std::byte[]>(total_bytes);
  std::byte* end = joined.get();
  for (const iovec& part : parts) {
    std::memcpy(end, part.iov_base, part.iov_len);
    end += part.iov_len;
  }
  return write(fd, joined.get(), total_bytes);
}

}  // namespace

// Lives from the request to its answer.
class DeviceTransport::Reply final : public ReplyPort {
 public:
  Reply(std::shared_ptr<Unanswered> unanswered, int fd, std::span<std::byte> answer_room)
      : unanswered_(std::move(unanswered)), fd_(fd), answer_room_(answer_room) {}

  int Send(std::span<const iovec> parts) override {
    int error = WriteWhole(fd_, parts) < 0 ? errno : 0;
    if (error != 0 && error != ENOENT && error != ENODEV) {
      // The reader must not wait for ever because its answer was not to the kernel's taste.
      log::Error("the kernel refused an answer of {} bytes: {}", TotalBytes(parts),
                 std::strerror(error));
      fuse_out_header refusal{sizeof(fuse_out_header), -EIO, unique};
      [[maybe_unused]] const ssize_t written = write(fd_, &refusal, sizeof(refusal));
    }
    delete this;
    return error == 0 ? 0 : ENOENT;
  }

  std::span<std::byte> AnswerRoom() override { return answer_room_; }

 private:
  const std::shared_ptr<Unanswered> unanswered_;
  const int fd_;
  const std::span<std::byte> answer_room_;  // the receiving thread's
};

DeviceTransport::DeviceTransport(int device_fd, size_t thread_count, size_t answer_bytes,
                                 RequestSink& sink, StopEvent& stop)
    : device_fd_(device_fd),
      thread_count_(thread_count),
      answer_bytes_(answer_bytes),
      sink_(sink),
      stop_(stop) {
  fcntl(device_fd, F_SETFL, fcntl(device_fd, F_GETFL) | O_NONBLOCK);
}

Result<> DeviceTransport::Serve(const std::function<void()>& begun) {
  std::vector<std::thread> threads;
  while (threads.size() < thread_count_) {
    Result<std::thread> thread = StartThread([this] { Receive(); });
    if (thread) {
      threads.push_back(*std::move(thread));
      continue;
    }
    if (threads.empty())
      End(tl::unexpected(thread.error()));
    else
      log::Warn("{} threads read /dev/fuse instead of {}: {}", threads.size(), thread_count_,
                thread.error().detail);
    break;
  }
  if (!threads.empty()) begun();
  for (std::thread& thread : threads) thread.join();

  std::future<void> none_left = unanswered_->none_left.get_future();
  unanswered_.reset();
  none_left.wait();
  const MutexLock lock(mutex_);
  return outcome_;
}

void DeviceTransport::End(Result<> why) {
  {
    const MutexLock lock(mutex_);
    if (outcome_) outcome_ = std::move(why);
  }
  stop_.Raise();
}

void DeviceTransport::Receive() {
  pthread_setname_np(pthread_self(), "fuse-device");
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  // Exclusive: one request wakes one thread.
  epoll_event request{EPOLLIN | EPOLLEXCLUSIVE, {}};
  epoll_event stop{EPOLLIN, {}};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, device_fd_, &request) != 0 ||
      epoll_ctl(epoll_fd, EPOLL_CTL_ADD, stop_.fd(), &stop) != 0)
    End(Fail(Errc::kUnreachable, std::string("epoll on /dev/fuse: ") + std::strerror(errno)));

  ReceiverWatch::Seat& seat = sink_.AddSeat();
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  const auto answer = std::make_unique_for_overwrite<std::byte[]>(answer_bytes_);
  while (!stop_.raised()) {
    const ssize_t length = read(device_fd_, buffer.get(), kBufferBytes);
    if (length > 0) {
      const std::span message(buffer.get(), static_cast<size_t>(length));
      const auto* header = reinterpret_cast<const fuse_in_header*>(buffer.get());
      Reply* reply = nullptr;
      if (ExpectsReply(header->opcode))
        reply = new Reply(unanswered_, device_fd_, {answer.get(), answer_bytes_});
      sink_.Receive(message, reply, seat);
    } else if (length == 0 || errno == ENODEV || errno == ECONNABORTED) {
      End({});  // unmounted
    } else if (errno == EAGAIN) {
      epoll_event ready;
      epoll_wait(epoll_fd, &ready, 1, -1);
    } else if (errno != EINTR && errno != ENOENT) {  // ENOENT: the request went away
      End(Fail(Errc::kUnreachable, std::string("reading /dev/fuse: ") + std::strerror(errno)));
    }
  }
  close(epoll_fd);
}

}  // namespace shoal
