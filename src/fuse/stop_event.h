// Tells all threads of a session to end. Thread-safe; Raise also in a signal handler.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace shoal {

class StopEvent {
 public:
  StopEvent() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~StopEvent() { close(fd_); }
  StopEvent(const StopEvent&) = delete;
  StopEvent& operator=(const StopEvent&) = delete;

  void Raise() {
    raised_.store(true, std::memory_order_release);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  }
  [[nodiscard]] bool raised() const { return raised_.load(std::memory_order_acquire); }
  // Readable once raised, and for ever. -1 if the process has no descriptors left.
  [[nodiscard]] int fd() const { return fd_; }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free);
  const int fd_;
  std::atomic<bool> raised_{false};
};

}  // namespace shoal
