#include "app/keeper.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "app/keeper_socket.h"
#include "app/mount_memory.h"
#include "app/recovery.h"
#include "app/worker_message.h"
#include "app/worker_process.h"
#include "base/exit_status.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "cache/cache_directory.h"
#include "fuse/io_uring_switch.h"
#include "fuse/mount.h"
#include "fuse/mount_table.h"
#include "fuse/ring_memory.h"

namespace shoal {
namespace {

using Kind = WorkerMessage::Kind;

// The first worker's probe of the bucket has a deadline of its own.
constexpr std::chrono::seconds kComeUpMax{60};
// Of one that only reads options, and of one that only attaches.
constexpr std::chrono::seconds kReadyMax{10};
constexpr std::chrono::seconds kAttachMax{30};

// Of one that is asked to end: how long it may answer what was begun. Then what still waits for
// the store is failed, and what is on its way to a disk has its time.
constexpr std::chrono::seconds kAnswersMax{1};
constexpr std::chrono::seconds kStopMax{35};
constexpr std::chrono::seconds kRemindEvery{5};

// How often it is looked whether the worker is one that was killed and does not end.
constexpr std::chrono::seconds kLookEvery{1};

// What an upgrade put in the place of the program may be broken; this one has served.
constexpr int kUpgradeTryCount = 2;

constexpr const char* kCannotGoOn =
    "no other process can go on with this mount: that takes Linux 6.9";

enum class Event : uint8_t { kStop, kMessage, kEnded, kQuestion, kUnmounted, kTimedOut };

class Keeper {
 public:
  Keeper(const MountPlan& plan, const MountState& state)
      : plan_(plan), state_(state), directory_(StateDirectory(plan.mount_point)) {
    state_.keeper_pid = getpid();
    sigset_t mask;
    sigemptyset(&mask);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&mask, number);
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal_fd_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  int Run(const ReportVerdict& report) {
    const Result<> begun = Begin();
    if (!begun) {
      unlink(OwnPath().c_str());
      worker_.reset();
      if (device_fd_ >= 0) close(device_fd_);
      if (mounted_) {
        RemoveMount();
        RemoveState();
      }
      rmdir(directory_.c_str());  // only if it is not another mount's
      if (stop_) return kExitInterrupted;
      report({exit_status_, begun.error().detail});
      return exit_status_;
    }
    // Nobody knows of a mount whose caller is gone.
    if (!report({kExitSuccess, ""})) stop_ = true;
    return Serve();
  }

 private:
  [[nodiscard]] std::string StatePath() const {
    return lost_its_path_ ? OwnPath() : directory_ + "/state.json";
  }
  [[nodiscard]] std::string NextPath() const { return directory_ + "/state.next.json"; }
  [[nodiscard]] std::string PreviousPath() const { return directory_ + "/state.previous.json"; }
  // Until it is mounted, state.json may be another mount's.
  [[nodiscard]] std::string OwnPath() const { return OwnStatePath(directory_, getpid()); }
  [[nodiscard]] WorkerOrder OrderFor(const std::string& state_path, bool attaches,
                                     bool recovers = false) const {
    return {.binary = state_.binary,
            .mount_point = plan_.mount_point,
            .state_path = state_path,
            .device_fd = device_fd_,
            .memory_fd = memory_->fd(),
            .medium_fd = medium_.get(),
            .rings_fd = rings_.get(),
            .attaches = attaches,
            .recovers = recovers};
  }

  Result<> Begin() {
    RETURN_IF_ERROR(MakeStateDirectory(directory_));
    RETURN_IF_ERROR(WriteMountState(OwnPath(), state_));
    ASSIGN_OR_RETURN(memory_, MountMemory::Create());
    // Kept here the memory cache outlives its worker. Without, each worker makes its own.
    if (Result<FileDescriptor> medium = MakeMemoryMedium()) medium_ = *std::move(medium);
    memory_->SetRecoveryLimit(plan_.options.command.recovery_limit_seconds);
    if (plan_.options.session.transport != "dev") {
      const auto enabled = EnableIoUring();
      if (!enabled && plan_.options.session.transport == "io_uring")
        log::Warn("FUSE over io_uring stays as it is: {}", enabled.error().detail);
      ASSIGN_OR_RETURN(const int rings_fd, RingMemory::MakeFile());
      rings_ = FileDescriptor(rings_fd);
    }
    ASSIGN_OR_RETURN(device_fd_, OpenDevice());
    ASSIGN_OR_RETURN(WorkerProcess worker,
                     WorkerProcess::Start(OrderFor(OwnPath(), /*attaches=*/false)));
    worker_ = std::move(worker);
    const Deadline deadline = Deadline::After(clock_, kComeUpMax);
    RETURN_IF_ERROR(Await(*worker_, Kind::kReady, deadline));
    RETURN_IF_ERROR(Mount({.source = plan_.source,
                           .subtype = plan_.subtype,
                           .mount_point = plan_.mount_point,
                           .flags = plan_.options.mount_flags},
                          device_fd_));
    mounted_ = true;
    const auto mounts = MountsAt(plan_.mount_point);
    if (mounts && !mounts->empty()) device_ = mounts->back().device;
    if (rename(OwnPath().c_str(), StatePath().c_str()) != 0)
      return Fail(Errc::kInvalid, "cannot write " + StatePath());
    // What a keeper that was killed left is of another mount.
    unlink(PreviousPath().c_str());
    unlink(NextPath().c_str());
    ASSIGN_OR_RETURN(listen_fd_, ListenForQuestions(directory_));
    SendMessage(worker_->socket_fd(), {.kind = Kind::kGo, .text = StatePath()});
    RETURN_IF_ERROR(Await(*worker_, Kind::kServing, deadline));
    serving_since_ = clock_.Now();
    NoteState();
    return {};
  }

  int Serve() {
    while (!stop_) {
      std::optional<int> status;
      switch (Wait(&*worker_, Deadline::After(clock_, kLookEvery))) {
        case Event::kTimedOut:
          // Twice, or it may just be ending.
          if (!worker_->IsStuckDying()) {
            is_stuck_ = false;
          } else if (!std::exchange(is_stuck_, true)) {
            break;
          } else {
            log::Error("the worker of {} was killed, and a disk that hangs keeps it from ending",
                       plan_.mount_point);
            status = Recover();
          }
          break;
        case Event::kStop:
          break;
        case Event::kEnded:
          worker_->Reap();
          // Whatever it says: somebody may have ended it alone.
          if (IsUnmounted()) return End();
          log::Error("the worker of {} {}", plan_.mount_point, worker_->how_it_ended());
          status = Recover();
          break;
        case Event::kQuestion:
          status = Reply(TakeQuestion(listen_fd_));
          break;
        default:  // it has no more to say
          break;
      }
      if (status) return *status;
    }
    close(std::exchange(listen_fd_, -1));  // nobody who asks now is answered
    worker_->Signal(SIGTERM);
    bool ended = EndsBy(Deadline::After(clock_, kAnswersMax));
    // Again and again: signals that come while it is busy with another are one.
    const Deadline last = Deadline::After(clock_, kStopMax);
    while (!ended && !is_hurried_ && !last.Passed(clock_)) {
      worker_->Signal(SIGTERM);
      ended = EndsBy(Deadline::After(clock_, kRemindEvery));
    }
    if (!ended) log::Error("the worker of {} does not end, and is killed", plan_.mount_point);
    return End();
  }

  // A second signal to stop asks not to wait.
  bool EndsBy(Deadline deadline) {
    while (true) {
      switch (Wait(&*worker_, deadline, /*listens=*/false)) {
        case Event::kEnded:
          return true;
        case Event::kStop:
          is_hurried_ = true;
          return false;
        case Event::kTimedOut:
          return false;
        default:  // it has no more to say
          break;
      }
    }
  }

  // A worker has died. The exit status, if none comes after it.
  std::optional<int> Recover() {
    is_stuck_ = false;
    worker_.reset();
    for (int failed_count = 0;; ++failed_count) {
      if (stop_ || IsUnmounted()) return End();
      if (!memory_->outlives_its_worker()) return Abandon(kCannotGoOn);
      const auto limit = std::chrono::seconds(memory_->recovery_limit_seconds());
      const auto pause =
          recovery_.AfterDeath(clock_.Now(), std::exchange(serving_since_, {}), limit);
      if (!pause) return Abandon(pause.error().detail);
      const Deadline until = Deadline::After(clock_, *pause);
      while (*pause > Duration::zero() && !stop_ && Wait(nullptr, until) == Event::kQuestion)
        Answer(TakeQuestion(listen_fd_), "the mount has no worker just now; it is being started");
      if (stop_) continue;
      SecureState();
      WorkerOrder order = OrderFor(StatePath(), /*attaches=*/true, /*recovers=*/true);
      if (failed_count >= kUpgradeTryCount) order.binary = "/proc/self/exe";
      auto worker = WorkerProcess::Start(order);
      const Result<> attached =
          worker ? Attach(*std::move(worker), StatePath(), recovery_.deadline(limit))
                 : Result<>(tl::unexpected(worker.error()));
      if (attached) {
        log::Warn("a new worker serves {}", plan_.mount_point);
        return std::nullopt;
      }
      if (!stop_) log::Error("{}", attached.error().detail);
    }
  }

  // What the next worker goes by is this mount's, whatever became of its directory: another
  // mount may have the path by now (after `umount -l`, or in another mount namespace), and
  // somebody may have emptied it.
  void SecureState() {
    const auto found = ReadMountState(StatePath());
    if (found && found->keeper_pid == getpid()) return;
    if (found) {
      lost_its_path_ = true;
      log::Warn("another mount has the path {} now: commands find that one", plan_.mount_point);
    } else {
      log::Warn("the files of {} in /run were gone, and are made anew", plan_.mount_point);
    }
    Result<> secured = MakeStateDirectory(directory_);
    if (secured) secured = WriteMountState(StatePath(), state_);
    if (!secured) log::Error("{}", secured.error().detail);
    if (lost_its_path_) return;
    if (Result<int> listens = ListenForQuestions(directory_)) {
      close(std::exchange(listen_fd_, *listens));
    } else {
      log::Error("{}", listens.error().detail);
    }
  }

  void NoteState() {
    if (auto state = ReadMountState(StatePath())) state_ = *std::move(state);
  }

  // To somebody who asked. The exit status, if the mount ended over it.
  std::optional<int> Reply(const Question& question) {
    if (question.word == "restart" || question.word == "replace") return ReplaceWorker(question);
    if (question.word == "change") return Change(question);
    Answer(question, "the keeper of this mount knows 'restart', 'replace' and 'change'");
    return std::nullopt;
  }

  // The worker takes other options as it is. The exit status, if the mount ended over it.
  std::optional<int> Change(const Question& question) {
    worker_->Signal(SIGHUP);
    const Result<> changed = Await(*worker_, Kind::kChanged, Deadline::After(clock_, kReadyMax));
    if (changed) {
      TakeNextState();
      Answer(question, "");
      return std::nullopt;
    }
    unlink(NextPath().c_str());
    if (changed.error().code != Errc::kTimedOut || !memory_->outlives_its_worker()) {
      Answer(question, changed.error().detail);
      return std::nullopt;
    }
    // Some of them may be in force, or soon be: the next worker goes by what is written.
    Answer(question, "the worker did not take the options in time; another one takes its place");
    log::Error("the worker of {} did not take other options in time", plan_.mount_point);
    return Recover();
  }

  void TakeNextState() {
    // At no moment there is none.
    unlink(PreviousPath().c_str());
    if (link(StatePath().c_str(), PreviousPath().c_str()) != 0 ||
        rename(NextPath().c_str(), StatePath().c_str()) != 0)
      log::Error("{} does not say how the mount is served now: {}", StatePath(),
                 std::strerror(errno));
    NoteState();
  }

  std::optional<int> ReplaceWorker(const Question& question) {
    const bool replaces = question.word == "replace";
    const std::string path = replaces ? NextPath() : StatePath();
    const Result<> replaced = ReplaceWorker(path);
    if (replaced && replaces) {
      TakeNextState();
    } else if (replaces) {
      unlink(NextPath().c_str());
    }
    if (replaced || worker_) {
      Answer(question, replaced ? "" : replaced.error().detail + "; nothing has changed");
      return std::nullopt;
    }
    log::Error("{}", replaced.error().detail);
    const std::optional<int> status = Recover();
    Answer(question, replaced.error().detail +
                         (status ? "; the mount has ended" : "; the mount goes on as before"));
    return status;
  }

  // On failure there is the old worker still, or none.
  Result<> ReplaceWorker(const std::string& path) {
    if (!memory_->outlives_its_worker()) return Fail(Errc::kUnsupported, kCannotGoOn);
    ASSIGN_OR_RETURN(WorkerProcess next, WorkerProcess::Start(OrderFor(path, /*attaches=*/true)));
    RETURN_IF_ERROR(Await(next, Kind::kReady, Deadline::After(clock_, kReadyMax)));
    if (memory_->uses_rings()) {
      if (Result<> queues = HandOverQueues(next); !queues) {
        EndWorker();  // it answers no more
        return queues;
      }
    }
    EndWorker();
    return Attach(std::move(next), path, Deadline::After(clock_, kAttachMax));
  }

  // On purpose. What it has begun is asked of the next one: nothing of it is worth waiting for.
  void EndWorker() {
    worker_.reset();
    serving_since_.reset();
    recovery_.AfterPlannedEnd();
  }

  // The steps are those of RingQueue.
  Result<> HandOverQueues(WorkerProcess& next) {
    RETURN_IF_ERROR(Hold());
    SendMessage(next.socket_fd(), {.kind = Kind::kStandBy});
    RETURN_IF_ERROR(Await(next, Kind::kStandsBy, Deadline::After(clock_, kReadyMax)));
    return Hold();
  }

  Result<> Hold() {
    worker_->Signal(SIGUSR2);
    const Result<> holds = Await(*worker_, Kind::kHolding, Deadline::After(clock_, kReadyMax));
    if (holds) return {};
    return Fail(holds.error().code, "the worker does not hand over: " + holds.error().detail);
  }

  Result<> Attach(WorkerProcess worker, const std::string& path, Deadline deadline) {
    SendMessage(worker.socket_fd(), {.kind = Kind::kGo, .text = path});
    RETURN_IF_ERROR(Await(worker, Kind::kServing, deadline));
    worker_ = std::move(worker);
    serving_since_ = clock_.Now();
    return {};
  }

  // Until the worker says so.
  Result<> Await(WorkerProcess& worker, Kind kind, Deadline deadline) {
    while (true) {
      switch (Wait(&worker, deadline, /*listens=*/false)) {
        case Event::kMessage: {
          if (message_->kind == kind) return {};
          if (message_->kind == Kind::kFailed) {
            exit_status_ = message_->exit_status;
            return Fail(Errc::kInvalid, message_->text);
          }
          break;
        }
        case Event::kEnded:
          worker.Reap();
          return Fail(Errc::kInvalid, fmt::format("the worker {} before it served; the log may "
                                                  "say why",
                                                  worker.how_it_ended()));
        case Event::kTimedOut:
          return Fail(Errc::kTimedOut, "the worker did not come up in time");
        default:
          if (stop_) return Fail(Errc::kInterrupted, "a signal asked to end");
      }
    }
  }

  // Without a worker, until the deadline or the unmount. A signal to stop is kept in stop_.
  Event Wait(const WorkerProcess* worker, Deadline deadline, bool listens = true) {
    pollfd fds[] = {{signal_fd_, POLLIN, 0},
                    {worker ? worker->socket_fd() : -1, POLLIN, 0},
                    {worker ? worker->ended_fd() : -1, POLLIN, 0},
                    {listens ? listen_fd_ : -1, POLLIN, 0},
                    {worker ? -1 : device_fd_, 0, 0}};
    while (true) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline.Remaining(clock_)).count();
      const int wait_ms =
          deadline.at == Instant::max() ? -1 : static_cast<int>(std::min<int64_t>(left, INT_MAX));
      const int ready = poll(fds, std::size(fds), wait_ms);
      if (ready == 0) return Event::kTimedOut;
      if (ready < 0) continue;
      if (fds[0].revents != 0 && TakeSignal()) return Event::kStop;
      if (fds[1].revents != 0) {
        message_ = ReceiveMessage(fds[1].fd);
        if (message_) return Event::kMessage;
        fds[1].fd = -1;  // it is about to end
        continue;
      }
      if (fds[2].revents != 0) return Event::kEnded;
      if (fds[3].revents != 0) return Event::kQuestion;
      if (fds[4].revents != 0) return Event::kUnmounted;
    }
  }

  // Whether it was one to stop.
  bool TakeSignal() {
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return false;
    if (info.ssi_signo == SIGUSR1) {
      if (worker_) worker_->Signal(SIGUSR1);
      return false;
    }
    return stop_ = true;
  }

  [[nodiscard]] bool IsUnmounted() const {
    pollfd device{device_fd_, 0, 0};
    return poll(&device, 1, 0) == 1;
  }

  // The worker is gone, and what it could answer it has.
  int End() {
    worker_.reset();
    const bool unmounted = IsUnmounted();
    close(device_fd_);  // fails what programs still wait for
    if (!unmounted) RemoveMount();
    RemoveState();
    log::Info("{} is unmounted{}", plan_.mount_point, unmounted ? "" : ", as a signal asked");
    return kExitSuccess;
  }

  int Abandon(const std::string& why) {
    log::Error("{} is given up: {}", plan_.mount_point, why);
    close(device_fd_);  // fails what programs still wait for, and will ask
    RemoveState();
    return kExitFailure;
  }

  // Only after the descriptor is closed. A mount that is in use is gone from the path, and ends
  // when they let go of it.
  void RemoveMount() {
    // What is on top there now may be somebody else's.
    const auto mounts = MountsAt(plan_.mount_point);
    if (!mounts || mounts->empty() || mounts->back().device != device_) return;
    if (UnmountByForce(plan_.mount_point)) return;
    const auto detached = Unmount(plan_.mount_point, /*lazy=*/true);
    if (!detached) log::Error("{}", detached.error().detail);
  }

  // Unless it is the next mount's already.
  void RemoveState() {
    if (lost_its_path_) unlink(StatePath().c_str());
    const auto state = ReadMountState(StatePath());
    if (lost_its_path_ || (state && state->keeper_pid != getpid())) return;
    for (const char* name :
         {"state.json", "state.previous.json", "state.next.json", "keeper.sock", "admin.json"}) {
      const std::string path = directory_ + "/" + name;
      unlink(path.c_str());
      unlink((path + ".new").c_str());  // of one that was killed when it wrote it
    }
    rmdir(directory_.c_str());
  }

  const SystemClock clock_;
  const MountPlan& plan_;
  MountState state_;  // as it is served
  const std::string directory_;
  int signal_fd_ = -1;
  int listen_fd_ = -1;
  int device_fd_ = -1;
  std::string device_;  // "MAJOR:MINOR" of the mount
  bool mounted_ = false;
  bool is_stuck_ = false;       // the worker, when it was last looked at
  bool lost_its_path_ = false;  // see SecureState
  bool stop_ = false;
  bool is_hurried_ = false;  // by a second signal to stop
  int exit_status_ = kExitFailure;
  std::unique_ptr<MountMemory> memory_;
  FileDescriptor medium_;  // of the memory cache; its content is the worker's
  FileDescriptor rings_;   // the memory of the rings, as well; none over /dev/fuse
  std::optional<WorkerProcess> worker_;
  std::optional<WorkerMessage> message_;  // the last
  std::optional<Instant> serving_since_;
  Recovery recovery_;
};

}  // namespace

int RunKeeper(const MountPlan& plan, const MountState& state, const ReportVerdict& report) {
  return Keeper(plan, state).Run(report);
}

}  // namespace shoal
