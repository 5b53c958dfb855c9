#include "app/keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <utility>

#include "app/keeper_events.h"
#include "app/keeper_files.h"
#include "app/keeper_mount.h"
#include "app/keeper_socket.h"
#include "app/mount_memory.h"
#include "app/recovery.h"
#include "app/worker_message.h"
#include "app/worker_process.h"
#include "base/exit_status.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "cache/memory_medium.h"
#include "fuse/io_uring_switch.h"
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

// Of one over /dev/fuse that is replaced: how long it may answer what it was asked. What it has not
// answered then the kernel asks of the next one; where it cannot, the store is waited for, and
// then whoever still waits for it is failed.
constexpr std::chrono::milliseconds kMayAnswerMax{100};
constexpr std::chrono::seconds kHasToAnswerMax{30};
constexpr std::chrono::seconds kFailsCallsMax{5};

// How often it is looked whether the worker is one that was killed and does not end.
constexpr std::chrono::seconds kLookEvery{1};

// What an upgrade put in the place of the program may be broken; this one has served.
constexpr size_t kUpgradeTryCount = 2;
constexpr const char* kThisProgram = "/proc/self/exe";

constexpr const char* kIsStuck = "was killed, and a disk that hangs keeps it from ending";
constexpr const char* kCannotGoOn =
    "no other process can go on with what this one was asked: that takes Linux 6.9";

using Event = KeeperEvent;

// What a worker was to do that says this.
std::string_view TaskOf(Kind kind) {
  switch (kind) {
    case Kind::kChanged:
      return "take other options";
    case Kind::kHolding:
      return "hand over";
    case Kind::kAnswered:
      return "answer what it was asked";
    default:
      return "come up";
  }
}

class Keeper {
 public:
  Keeper(const MountPlan& plan, const MountState& state)
      : plan_(plan), files_(state), mount_(plan), events_([this] {
          forget_asked_ = true;
          if (worker_) worker_->Signal(SIGUSR1);
        }) {}

  int Run(const ReportVerdict& report) {
    const Result<> begun = Begin();
    if (!begun) {
      worker_.reset();
      mount_.GiveUp();
      files_.Remove();
      if (events_.stop_asked()) return kExitInterrupted;
      report({exit_status_, begun.error().detail});
      return exit_status_;
    }
    // Nobody knows of a mount whose caller is gone.
    if (!report({kExitSuccess, ""})) events_.AskToStop();
    return Serve();
  }

 private:
  [[nodiscard]] WorkerOrder OrderFor(const std::string& state_path, bool attaches,
                                     bool recovers = false) const {
    return {.binary = files_.state().binary,
            .mount_point = plan_.mount_point,
            .state_path = state_path,
            .device_fd = mount_.device_fd(),
            .memory_fd = memory_->fd(),
            .medium_fd = medium_.get(),
            .rings_fd = rings_.get(),
            .attaches = attaches,
            .recovers = recovers};
  }

  Result<> Begin() {
    RETURN_IF_ERROR(mount_.RefuseToCoverAnother(files_.directory()));
    RETURN_IF_ERROR(files_.Begin());
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
    RETURN_IF_ERROR(mount_.OpenDevice());
    ASSIGN_OR_RETURN(WorkerProcess worker,
                     WorkerProcess::Start(OrderFor(files_.state_path(), /*attaches=*/false)));
    worker_ = std::move(worker);
    const Deadline deadline = Deadline::After(clock_, kComeUpMax);
    RETURN_IF_ERROR(Await(*worker_, Kind::kReady, deadline));
    RETURN_IF_ERROR(mount_.Mount());
    memory_->SetDevice(mount_.device());
    RETURN_IF_ERROR(files_.Publish());
    SendMessage(worker_->socket_fd(), {.kind = Kind::kGo, .text = files_.state_path()});
    RETURN_IF_ERROR(Await(*worker_, Kind::kServing, deadline));
    serving_since_ = clock_.Now();
    files_.Note();
    return {};
  }

  int Serve() {
    while (!events_.stop_asked()) {
      forget_asked_ = false;
      std::optional<int> status;
      switch (Wait(&*worker_, Deadline::After(clock_, kLookEvery))) {
        case Event::kTimedOut:
          if (!IsStuck(*worker_)) break;
          log::Error("the worker of {} {}", plan_.mount_point, kIsStuck);
          status = Recover();
          break;
        case Event::kStop:
          break;
        case Event::kEnded:
          worker_->Reap();
          // Whatever it says: somebody may have ended it alone.
          if (mount_.IsUnmounted()) return End();
          log::Error("the worker of {} {}", plan_.mount_point, worker_->how_it_ended());
          status = Recover();
          break;
        case Event::kQuestion:
          status = Reply(TakeQuestion(files_.listening_fd()));
          break;
        case Event::kMessage:
          is_held_ = events_.message().kind == Kind::kHolding;
          break;
        default:
          break;
      }
      if (status) return *status;
      // Nobody asked it to: it was sent SIGUSR2. Of rings it answers no more.
      if (!std::exchange(is_held_, false) || !memory_->uses_rings()) continue;
      log::Error("the worker of {} was sent SIGUSR2, and is replaced", plan_.mount_point);
      status = Recover();
      if (status) return *status;
    }
    files_.StopListening();  // nobody who asks now is answered
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
    is_held_ = false;
    worker_.reset();
    if (serving_since_) memory_->CountDeath(clock_.UnixSeconds());
    // It may be too old for the options, or for what is handed over: then it is every other's turn.
    bool this_program_failed = false;
    while (true) {
      if (events_.stop_asked() || mount_.IsUnmounted()) return End();
      if (!memory_->outlives_its_worker() && !is_drained_) return Abandon(kCannotGoOn);
      const auto limit = std::chrono::seconds(memory_->recovery_limit_seconds());
      const auto pause =
          recovery_.AfterDeath(clock_.Now(), std::exchange(serving_since_, {}), limit);
      if (!pause) return Abandon(pause.error().detail);
      const Deadline until = Deadline::After(clock_, *pause);
      while (*pause > Duration::zero() && !events_.stop_asked() &&
             Wait(nullptr, until) == Event::kQuestion)
        Answer(TakeQuestion(files_.listening_fd()),
               Fail(Errc::kBusy, "the mount has no worker just now; it is being started"));
      if (events_.stop_asked()) continue;
      SecureFiles();
      WorkerOrder order = OrderFor(files_.state_path(), /*attaches=*/true, /*recovers=*/true);
      if (recovery_.recent_death_count() > kUpgradeTryCount && !this_program_failed)
        order.binary = kThisProgram;
      auto worker = WorkerProcess::Start(order);
      const Result<> attached =
          worker ? Attach(*std::move(worker), files_.state_path(), recovery_.deadline(limit))
                 : Result<>(tl::unexpected(worker.error()));
      if (attached) {
        log::Warn("a new worker serves {}{}", plan_.mount_point,
                  order.binary == kThisProgram ? ", of the program that mounted it" : "");
        return std::nullopt;
      }
      this_program_failed = order.binary == kThisProgram;
      if (!events_.stop_asked()) log::Error("{}", attached.error().detail);
    }
  }

  // What the next worker goes by, and where commands ask.
  void SecureFiles() {
    const KeeperFiles::Found found = files_.Secure();
    if (found == KeeperFiles::Found::kAnother)
      log::Warn("another mount has the path {} now: commands find that one", plan_.mount_point);
    if (found == KeeperFiles::Found::kNothing)
      log::Warn("the files of {} in /run were gone, and are made anew", plan_.mount_point);
  }

  // To somebody who asked. The exit status, if the mount ended over it.
  std::optional<int> Reply(const Question& question) {
    if (question.word == "restart") return ReplaceWorker(question, files_.state_path());
    const bool is_change = question.word == "change" || question.word == "change-back";
    if (!is_change && question.word != "replace" && question.word != "replace-back") {
      Answer(question, Fail(Errc::kInvalid,
                            "the keeper of this mount knows 'restart', 'replace' and 'change'"));
      return std::nullopt;
    }
    const Result<> written =
        files_.WriteNext(question.state, /*is_rollback=*/question.word.ends_with("-back"));
    if (written) return is_change ? Change(question) : ReplaceWorker(question, files_.next_path());
    Answer(question, written);
    return std::nullopt;
  }

  // The worker takes other options as it is. The exit status, if the mount ended over it.
  std::optional<int> Change(const Question& question) {
    worker_->Signal(SIGHUP);
    const Result<> changed = Await(*worker_, Kind::kChanged, Deadline::After(clock_, kReadyMax));
    if (changed) {
      files_.TakeNext();
      Answer(question, {});
      return std::nullopt;
    }
    files_.DropNext();
    if (changed.error().code != Errc::kTimedOut || !memory_->outlives_its_worker()) {
      Answer(question, changed);
      return std::nullopt;
    }
    // Some of them may be in force, or soon be: the next worker goes by what is written.
    Answer(question,
           Fail(Errc::kTimedOut, changed.error().detail + "; another one takes its place"));
    log::Error("the worker of {} did not take other options in time", plan_.mount_point);
    return Recover();
  }

  std::optional<int> ReplaceWorker(const Question& question, const std::string& path) {
    const bool is_update = path == files_.next_path();
    Result<> replaced = ReplaceWorker(path);
    if (is_update && replaced) files_.TakeNext();
    if (is_update && !replaced) files_.DropNext();
    std::optional<int> status;
    if (!replaced) {
      std::string& reason = replaced.error().detail;
      if (worker_) {
        reason += "; nothing has changed";
      } else {
        log::Error("{}", reason);
        status = Recover();
        reason +=
            status ? "; the mount has ended" : "; the mount goes on as before, in another process";
      }
    }
    Answer(question, replaced);
    return status;
  }

  // On failure there is the old worker still, or none.
  Result<> ReplaceWorker(const std::string& path) {
    if (memory_->uses_rings() && !memory_->outlives_its_worker())
      return Fail(Errc::kUnsupported, kCannotGoOn);
    ASSIGN_OR_RETURN(WorkerProcess next, WorkerProcess::Start(OrderFor(path, /*attaches=*/true)));
    RETURN_IF_ERROR(Await(next, Kind::kReady, Deadline::After(clock_, kReadyMax)));
    const Result<> ended = memory_->uses_rings() ? HandOverQueues(next) : Drain();
    EndWorker();  // it answers no more, in any case
    RETURN_IF_ERROR(ended);
    return Attach(std::move(next), path, Deadline::After(clock_, kAttachMax));
  }

  // Over /dev/fuse. On failure there are calls that nobody will answer.
  Result<> Drain() {
    const bool asks_again = memory_->outlives_its_worker();
    worker_->Signal(SIGTERM);
    const Duration wait = asks_again ? Duration(kMayAnswerMax) : Duration(kHasToAnswerMax);
    Result<> answered = Await(*worker_, Kind::kAnswered, Deadline::After(clock_, wait));
    if (asks_again) return {};
    if (!answered && answered.error().code == Errc::kTimedOut) {
      worker_->Signal(SIGTERM);
      answered = Await(*worker_, Kind::kAnswered, Deadline::After(clock_, kFailsCallsMax));
    }
    is_drained_ = answered.has_value();
    return answered;
  }

  // On purpose.
  void EndWorker() {
    worker_.reset();
    memory_->CountReplacement();
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
    return Fail(holds.error().code, "the one before: " + holds.error().detail);
  }

  Result<> Attach(WorkerProcess worker, const std::string& path, Deadline deadline) {
    SendMessage(worker.socket_fd(), {.kind = Kind::kGo, .text = path});
    const Result<> serves = Await(worker, Kind::kServing, deadline);
    // One that is late may have read calls already.
    if (serves || serves.error().code == Errc::kTimedOut) is_drained_ = false;
    RETURN_IF_ERROR(serves);
    worker_ = std::move(worker);
    serving_since_ = clock_.Now();
    if (forget_asked_) worker_->Signal(SIGUSR1);
    return {};
  }

  // Twice in a row, or it may just be ending.
  bool IsStuck(const WorkerProcess& worker) {
    const bool was_stuck = std::exchange(is_stuck_, worker.IsStuckDying());
    return was_stuck && is_stuck_;
  }

  // Until the worker says so.
  Result<> Await(WorkerProcess& worker, Kind kind, Deadline deadline) {
    is_stuck_ = false;
    while (true) {
      const Deadline look = Deadline::After(clock_, kLookEvery);
      switch (Wait(&worker, {std::min(look.at, deadline.at)}, /*listens=*/false)) {
        case Event::kMessage: {
          const WorkerMessage& said = events_.message();
          if (said.kind == kind) return {};
          if (said.kind == Kind::kHolding && kind == Kind::kChanged) is_held_ = true;
          if (said.kind == Kind::kCannotChange) return Fail(Errc::kUnsupported, said.text);
          if (said.kind == Kind::kFailed) {
            exit_status_ = said.exit_status;
            return Fail(Errc::kInvalid, said.text);
          }
          break;
        }
        case Event::kEnded:
          worker.Reap();
          return Fail(Errc::kInvalid,
                      fmt::format("the worker {} when it was to {}; the log may say why",
                                  worker.how_it_ended(), TaskOf(kind)));
        case Event::kTimedOut:
          if (IsStuck(worker)) return Fail(Errc::kInvalid, fmt::format("the worker {}", kIsStuck));
          if (!deadline.Passed(clock_)) break;
          return Fail(Errc::kTimedOut, fmt::format("the worker did not {} in time", TaskOf(kind)));
        default:
          if (events_.stop_asked()) return Fail(Errc::kInterrupted, "a signal asked to end");
      }
    }
  }

  Event Wait(const WorkerProcess* worker, Deadline deadline, bool listens = true) {
    return events_.Wait(worker, listens ? files_.listening_fd() : -1, mount_.device_fd(), deadline);
  }

  // The worker is gone, and what it could answer it has.
  int End() {
    worker_.reset();
    const bool unmounted = mount_.IsUnmounted();
    mount_.FailAllCalls();
    if (!unmounted) mount_.Remove();
    files_.Remove();
    log::Info("{} is unmounted{}", plan_.mount_point, unmounted ? "" : ", as a signal asked");
    return kExitSuccess;
  }

  int Abandon(const std::string& why) {
    log::Error("{} is given up: {}", plan_.mount_point, why);
    mount_.FailAllCalls();
    files_.Remove();
    return kExitFailure;
  }

  const SystemClock clock_;
  const MountPlan& plan_;
  KeeperFiles files_;
  KeeperMount mount_;
  KeeperEvents events_;
  bool is_stuck_ = false;    // the worker, when it was last looked at
  bool is_held_ = false;     // the worker said so, and was not asked to
  bool is_drained_ = false;  // nothing waits for the answer of a worker that has ended
  bool is_hurried_ = false;  // by a second signal to stop
  // Since it was last seen that the worker is well: one that ended since may not have done it.
  bool forget_asked_ = false;
  int exit_status_ = kExitFailure;
  std::unique_ptr<MountMemory> memory_;
  FileDescriptor medium_;  // of the memory cache; its content is the worker's
  FileDescriptor rings_;   // the memory of the rings, as well; none over /dev/fuse
  std::optional<WorkerProcess> worker_;
  std::optional<Instant> serving_since_;
  Recovery recovery_;
};

}  // namespace

int RunKeeper(const MountPlan& plan, const MountState& state, const ReportVerdict& report) {
  return Keeper(plan, state).Run(report);
}

}  // namespace shoal
