#include "app/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/read_text.h"

namespace shoal {
namespace {

constexpr const char* kScorePath = "/proc/self/oom_score_adj";
constexpr int kScoreStep = 100;
constexpr int kScoreMax = 1000;
constexpr std::chrono::seconds kKilledMax{2};

// Of the two the worker has the memory, and comes back: it goes first.
void PreferAsVictim() {
  int score = 0;
  std::ifstream(kScorePath) >> score;
  std::ofstream(kScorePath) << std::min(score + kScoreStep, kScoreMax);
}

// Of a process that was killed.
bool EndsSoon(int pidfd) {
  if (pidfd < 0) return true;
  const SystemClock clock;
  const Deadline deadline = Deadline::After(clock, kKilledMax);
  pollfd ended{pidfd, POLLIN, 0};
  int ready = 0;
  do {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.Remaining(clock));
    ready = poll(&ended, 1, static_cast<int>(left.count()));
  } while (ready < 0 && errno == EINTR);
  return ready != 0;
}

[[noreturn]] void Run(const WorkerOrder& order, int socket_fd, pid_t keeper) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(1);
  setpgid(0, 0);  // Ctrl-C is for the keeper
  PreferAsVictim();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int fd :
       {order.device_fd, order.memory_fd, order.medium_fd, order.rings_fd, socket_fd})
    if (fd >= 0) fcntl(fd, F_SETFD, 0);
  const char* const how = order.recovers ? "recover" : order.attaches ? "attach" : "begin";
  std::vector<std::string> words = {"shoal",
                                    "worker",
                                    order.mount_point,
                                    order.state_path,
                                    std::to_string(order.device_fd),
                                    std::to_string(order.memory_fd),
                                    std::to_string(order.medium_fd),
                                    std::to_string(order.rings_fd),
                                    std::to_string(socket_fd),
                                    how};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(order.binary.c_str(), arguments.data());
  execv("/proc/self/exe", arguments.data());
  _exit(127);
}

}  // namespace

Result<WorkerProcess> WorkerProcess::Start(const WorkerOrder& order) {
  int sockets[2];
  const auto fail = [](const char* what) {
    return Fail(Errc::kBusy,
                fmt::format("cannot start a worker: {}: {}", what, std::strerror(errno)));
  };
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
    return fail("socketpair");
  const pid_t keeper = getpid();
  const pid_t pid = fork();
  if (pid == 0) Run(order, sockets[1], keeper);
  close(sockets[1]);
  if (pid < 0) {
    close(sockets[0]);
    return fail("fork");
  }
  WorkerProcess worker(pid, static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), sockets[0]);
  if (worker.pidfd_ < 0) return fail("pidfd_open");
  return worker;
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      socket_fd_(std::exchange(other.socket_fd_, -1)),
      wait_status_(other.wait_status_),
      is_stuck_(other.is_stuck_) {}

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(socket_fd_, other.socket_fd_);
  std::swap(wait_status_, other.wait_status_);
  std::swap(is_stuck_, other.is_stuck_);
  return *this;
}

bool WorkerProcess::Kill() {
  if (pid_ <= 0) return !is_stuck_;
  kill(pid_, SIGKILL);
  is_stuck_ = !EndsSoon(pidfd_);
  if (!is_stuck_) {
    Reap();
  } else {
    log::Error("process {} was killed and does not end", pid_);
    pid_ = 0;
  }
  return !is_stuck_;
}

WorkerProcess::~WorkerProcess() {
  Kill();
  if (pidfd_ >= 0) close(pidfd_);
  if (socket_fd_ >= 0) close(socket_fd_);
}

// The main thread of a process whose other threads have not ended is a zombie.
bool WorkerProcess::IsStuckDying() const {
  const std::string stat = ReadText(fmt::format("/proc/{}/stat", pid_));
  const size_t name_end = stat.rfind(')');  // it may have any characters
  return name_end != std::string::npos && name_end + 2 < stat.size() && stat[name_end + 2] == 'Z';
}

void WorkerProcess::Signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

int WorkerProcess::Reap() {
  while (pid_ > 0 && waitpid(pid_, &wait_status_, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return WIFSIGNALED(wait_status_) ? 128 + WTERMSIG(wait_status_) : WEXITSTATUS(wait_status_);
}

std::string WorkerProcess::how_it_ended() const {
  if (WIFSIGNALED(wait_status_))
    return fmt::format("was ended by signal {}", WTERMSIG(wait_status_));
  return fmt::format("ended with status {}", WEXITSTATUS(wait_status_));
}

}  // namespace shoal
