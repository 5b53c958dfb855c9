#include "app/mount_signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/exit_status.h"

namespace shoal {

MountSignals::MountSignals() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&mask, number);
  pthread_sigmask(SIG_BLOCK, &mask, &mask_before_);
  signal_fd_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  finish_fd_ = eventfd(0, EFD_CLOEXEC);
  watcher_ = std::thread([this] { Watch(); });
}

MountSignals::~MountSignals() {
  Finish();
  close(signal_fd_);
  close(finish_fd_);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

void MountSignals::Keep() {
  const MutexLock lock(mutex_);
  keep_ = true;
}

void MountSignals::StopOn(const std::function<void()>& stop) {
  {
    const MutexLock lock(mutex_);
    stop_ = stop;
    if (!came_) return;
  }
  stop();
}

void MountSignals::ForgetOn(std::function<void()> forget) {
  const MutexLock lock(mutex_);
  forget_ = std::move(forget);
}

void MountSignals::HoldOn(std::function<void()> hold) {
  const MutexLock lock(mutex_);
  hold_ = std::move(hold);
}

void MountSignals::ChangeOn(std::function<void()> change) {
  const MutexLock lock(mutex_);
  change_ = std::move(change);
}

void MountSignals::Finish() {
  if (!watcher_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(finish_fd_, &one, sizeof(one));
  watcher_.join();
}

void MountSignals::Watch() {
  pollfd fds[] = {{signal_fd_, POLLIN, 0}, {finish_fd_, POLLIN, 0}};
  while (true) {
    if (poll(fds, 2, -1) < 0) continue;
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      std::function<void()> react;
      {
        const MutexLock lock(mutex_);
        if (info.ssi_signo == SIGUSR1) {
          react = forget_;
        } else if (info.ssi_signo == SIGUSR2) {
          react = hold_;
        } else if (info.ssi_signo == SIGHUP && change_) {
          react = change_;
        } else {
          if (!keep_) _exit(kExitInterrupted);
          came_ = true;
          react = stop_;
        }
      }
      if (react) react();
    } else if (fds[1].revents != 0) {
      return;
    }
  }
}

}  // namespace shoal
