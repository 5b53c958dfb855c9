#include "app/background.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <string_view>

#include "base/exit_status.h"

namespace shoal {
namespace {

// One write of this size is whole or not at all: the status, then the reason.
constexpr size_t kMessageBytesMax = PIPE_BUF;

bool Send(int fd, const Verdict& verdict) {
  std::string message(1, static_cast<char>(verdict.exit_status));
  message += std::string_view(verdict.reason).substr(0, kMessageBytesMax - 1);
  const bool sent =
      write(fd, message.data(), message.size()) == static_cast<ssize_t>(message.size());
  close(fd);
  return sent;
}

// Nothing of the caller's stays open but `kept_fd`: a shell that reads the command's
// output through a pipe would wait for the daemon to close it.
void Detach(int kept_fd) {
  setsid();
  umask(077);
  [[maybe_unused]] const int changed = chdir("/");
  const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int standard_fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    dup2(null_fd, standard_fd);
  const auto kept = static_cast<unsigned>(kept_fd);
  if (kept > 3) close_range(3, kept - 1, 0);
  close_range(kept + 1, UINT_MAX, 0);
}

std::string HowItEnded(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) return "ended";
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
  return fmt::format("ended with status {}", WEXITSTATUS(status));
}

Verdict Await(int fd, pid_t child, Deadline deadline, Duration wait, const Clock& clock) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  pollfd readable{fd, POLLIN, 0};
  int ready = 0;
  do {
    const auto left = duration_cast<milliseconds>(deadline.Remaining(clock));
    ready = poll(&readable, 1, static_cast<int>(left.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) {
    kill(child, SIGTERM);
    return {kExitFailure,
            fmt::format("the daemon did not come up within {} s; its log says how far it got",
                        duration_cast<std::chrono::seconds>(wait).count())};
  }
  std::string message(kMessageBytesMax, '\0');
  const ssize_t length = read(fd, message.data(), message.size());
  if (length <= 0)
    return {kExitFailure, "the daemon " + HowItEnded(child) + "; its log may say why"};
  message.resize(static_cast<size_t>(length));
  return {static_cast<unsigned char>(message[0]), message.substr(1)};
}

}  // namespace

Verdict RunInBackground(const std::function<int(const ReportVerdict&)>& serve, Duration wait,
                        const Clock& clock) {
  const auto cannot = [](const char* what) {
    return Verdict{kExitSystem,
                   fmt::format("cannot start the daemon: {}: {}", what, std::strerror(errno))};
  };
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return cannot("pipe");
  const auto [read_fd, low_write_fd] = pipe_fds;
  // Called with no standard streams, pipe2 may have given one of their numbers.
  const int write_fd = fcntl(low_write_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  close(low_write_fd);
  if (write_fd < 0) {
    close(read_fd);
    return cannot("a descriptor for the daemon's verdict");
  }
  const pid_t child = fork();
  if (child < 0) {
    Verdict verdict = cannot("fork");
    close(read_fd);
    close(write_fd);
    return verdict;
  }
  if (child == 0) {
    Detach(write_fd);
    signal(SIGPIPE, SIG_IGN);  // the parent may be gone
    _exit(serve([fd = write_fd](const Verdict& verdict) { return Send(fd, verdict); }));
  }
  close(write_fd);
  Verdict verdict = Await(read_fd, child, Deadline::After(clock, wait), wait, clock);
  close(read_fd);
  return verdict;
}

}  // namespace shoal
