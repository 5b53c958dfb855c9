// SIGTERM, SIGINT and SIGHUP, as "end this mount", and SIGUSR1, as "forget what is kept of
// names". In a worker SIGHUP means "other options" (ChangeOn), and SIGUSR2 "hold" (HoldOn).
//
//   MountSignals signals;           a signal ends the process: nothing is mounted yet
//   signals.Keep();                from here on it is kept
//   signals.StopOn([&] { session.Stop(); });
//   signals.ForgetOn([&] { ... });
//   session.Serve();
//   signals.Finish();              `session` may go; a signal changes nothing any more
//
// Blocks the signals in the thread that makes it, and so in every thread made after: make
// it before any other. Its own thread waits for them. The methods are for one thread.
#pragma once

#include <signal.h>

#include <functional>
#include <thread>

#include "base/mutex.h"

namespace shoal {

class MountSignals {
 public:
  MountSignals();
  ~MountSignals();  // as Finish, and unblocks the signals
  MountSignals(const MountSignals&) = delete;
  MountSignals& operator=(const MountSignals&) = delete;

  // Until this, a signal ends the process with kExitInterrupted.
  void Keep();
  // Calls `stop`, at once if a signal was kept, and again at each one that comes.
  void StopOn(const std::function<void()>& stop);
  // Calls `forget` at each SIGUSR1; before, it means nothing.
  void ForgetOn(std::function<void()> forget);
  // Calls `hold` at each SIGUSR2; before, it means nothing.
  void HoldOn(std::function<void()> hold);
  // Calls `change` at each SIGHUP, which then does not end the mount.
  void ChangeOn(std::function<void()> change);
  void Finish();

 private:
  void Watch();

  sigset_t mask_before_;
  int signal_fd_;
  int finish_fd_;

  Mutex mutex_;
  bool keep_ GUARDED_BY(mutex_) = false;
  bool came_ GUARDED_BY(mutex_) = false;
  std::function<void()> stop_ GUARDED_BY(mutex_);
  std::function<void()> forget_ GUARDED_BY(mutex_);
  std::function<void()> hold_ GUARDED_BY(mutex_);
  std::function<void()> change_ GUARDED_BY(mutex_);

  std::thread watcher_;  // last: it uses all of the above
};

}  // namespace shoal
