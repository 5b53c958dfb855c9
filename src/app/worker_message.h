// What a keeper and its worker say to each other, over a socket that keeps messages whole:
//
//   worker: kReady               it could serve
//   keeper: kGo, a path          the mount is there and nobody else serves it: begin, and
//                                write what you are to the state file at the path
//   worker: kServing             from now on
//   or, before that, kFailed     the exit status, and why, for people
//   keeper: SIGHUP               state.next.json has other options, which can change live
//   worker: kChanged             they are in force, and the file says who serves; or kFailed or,
//                                if it takes another worker, kCannotChange, and why: nothing has
//                                changed
//   keeper: SIGTERM              end
//   worker: kAnswered            it reads no more, and has answered what it read; it may be killed
//
// Where one takes over from another over io_uring, before kGo (fuse/session.h):
//
//   keeper to the old: SIGUSR2   hold
//   old:    kHolding
//   keeper to the new: kStandBy
//   new:    kStandsBy
//   keeper to the old: SIGUSR2   once more, and the answer; then it is killed
#pragma once

#include <optional>
#include <string>

namespace shoal {

struct WorkerMessage {
  enum class Kind : char {
    kReady = 'R',
    kGo = 'G',
    kServing = 'S',
    kFailed = 'F',
    kChanged = 'C',
    kCannotChange = 'N',
    kHolding = 'H',
    kStandBy = 'B',
    kStandsBy = 'b',
    kAnswered = 'A'
  };
  Kind kind{};
  int exit_status = 0;
  std::string text{};

  friend bool operator==(const WorkerMessage&, const WorkerMessage&) = default;
};

// False: the other side is gone. Longer texts than a few KiB are cut.
bool SendMessage(int socket_fd, const WorkerMessage& message);
// Waits for one. Empty: the other side is gone, or said something that is none of these.
std::optional<WorkerMessage> ReceiveMessage(int socket_fd);

}  // namespace shoal
