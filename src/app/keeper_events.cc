#include "app/keeper_events.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <iterator>
#include <utility>

namespace shoal {

KeeperEvents::KeeperEvents(std::function<void()> forget) : forget_(std::move(forget)) {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&mask, number);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR2, SIG_IGN);  // means something to a worker only
  signal_fd_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

KeeperEvents::~KeeperEvents() {
  close(signal_fd_);
}

KeeperEvent KeeperEvents::Wait(const WorkerProcess* worker, int question_fd, int device_fd,
                               Deadline deadline) {
  pollfd fds[] = {{signal_fd_, POLLIN, 0},
                  {worker ? worker->socket_fd() : -1, POLLIN, 0},
                  {worker ? worker->ended_fd() : -1, POLLIN, 0},
                  {question_fd, POLLIN, 0},
                  {worker ? -1 : device_fd, 0, 0}};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline.Remaining(clock_)).count();
    const int wait_ms =
        deadline.at == Instant::max() ? -1 : static_cast<int>(std::min<int64_t>(left, INT_MAX));
    const int ready = poll(fds, std::size(fds), wait_ms);
    if (ready == 0) return KeeperEvent::kTimedOut;
    if (ready < 0) continue;
    if (fds[0].revents != 0 && TakeSignal()) return KeeperEvent::kStop;
    if (fds[1].revents != 0) {
      message_ = ReceiveMessage(fds[1].fd);
      if (message_) return KeeperEvent::kMessage;
      fds[1].fd = -1;  // it is about to end
      continue;
    }
    if (fds[2].revents != 0) return KeeperEvent::kEnded;
    if (fds[3].revents != 0) return KeeperEvent::kQuestion;
    if (fds[4].revents != 0) return KeeperEvent::kUnmounted;
  }
}

bool KeeperEvents::TakeSignal() {
  signalfd_siginfo info;
  if (read(signal_fd_, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return false;
  if (info.ssi_signo == SIGUSR1) {
    forget_();
    return false;
  }
  return stop_asked_ = true;
}

}  // namespace shoal
