// What the one thread of a keeper waits for.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "app/worker_message.h"
#include "app/worker_process.h"
#include "base/clock.h"

namespace shoal {

enum class KeeperEvent : uint8_t {
  kStop,       // SIGTERM, SIGINT or SIGHUP
  kMessage,    // of the worker: message()
  kEnded,      // the worker has
  kQuestion,   // somebody asks at the socket (keeper_socket.h)
  kUnmounted,  // without a worker only: with one, that ends
  kTimedOut,
};

class KeeperEvents {
 public:
  // Blocks the signals, for this thread. Calls `forget` at each SIGUSR1.
  explicit KeeperEvents(std::function<void()> forget);
  ~KeeperEvents();
  KeeperEvents(const KeeperEvents&) = delete;
  KeeperEvents& operator=(const KeeperEvents&) = delete;

  // The next one, or kTimedOut at the deadline. Descriptors of -1 are not looked at; `worker` may
  // be null.
  KeeperEvent Wait(const WorkerProcess* worker, int question_fd, int device_fd, Deadline deadline);

  // Since the keeper began.
  [[nodiscard]] bool stop_asked() const { return stop_asked_; }
  void AskToStop() { stop_asked_ = true; }

  // Of the last kMessage.
  [[nodiscard]] const WorkerMessage& message() const { return *message_; }

 private:
  // Whether it was one to stop.
  bool TakeSignal();

  const SystemClock clock_;
  const std::function<void()> forget_;
  int signal_fd_ = -1;
  bool stop_asked_ = false;
  std::optional<WorkerMessage> message_;
};

}  // namespace shoal
