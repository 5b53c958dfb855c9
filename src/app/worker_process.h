// The keeper's hold on a worker: a child that runs `shoal worker` from the file that the mount
// was made with, as it is by then.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace shoal {

struct WorkerOrder {
  std::string binary;
  std::string mount_point;  // shows in ps
  std::string state_path;   // its MountState
  int device_fd = -1;
  int memory_fd = -1;
  int medium_fd = -1;     // of the memory cache, or -1
  int rings_fd = -1;      // the memory of the rings (fuse/session.h), or -1
  bool attaches = false;  // to a mount that was served before: no probe of the bucket
  bool recovers = false;  // attaches after a death: serves with what there is
};

// Movable; of one thread, the one that must not end before the worker does: with it the
// worker is killed.
class WorkerProcess {
 public:
  static Result<WorkerProcess> Start(const WorkerOrder& order);
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&& other) noexcept;
  ~WorkerProcess();  // Kill

  // Kills it, and waits for its end; for some seconds, as one that hangs in the kernel cannot be
  // killed: then false. It runs no more in any case. Idempotent.
  bool Kill();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int socket_fd() const { return socket_fd_; }  // worker_message.h
  [[nodiscard]] int ended_fd() const { return pidfd_; }       // readable once it has ended

  // It was killed, and has not ended: the kernel waits for a thread of it that waits for a disk.
  // It runs no more.
  [[nodiscard]] bool IsStuckDying() const;

  void Signal(int number) const;
  // Waits for its end, without bound: for when ended_fd() is readable. The exit status, or 128
  // and the signal's number.
  int Reap();
  // The same in words, after Reap.
  [[nodiscard]] std::string how_it_ended() const;

 private:
  WorkerProcess(pid_t pid, int pidfd, int socket_fd)
      : pid_(pid), pidfd_(pidfd), socket_fd_(socket_fd) {}

  pid_t pid_;  // 0: it has ended, or never will
  int pidfd_;
  int socket_fd_;
  int wait_status_ = 0;
  bool is_stuck_ = false;
};

}  // namespace shoal
