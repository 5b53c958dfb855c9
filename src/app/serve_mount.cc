#include "app/serve_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/assemble.h"
#include "app/cache_places.h"
#include "app/control_room.h"
#include "app/deferred_control_room.h"
#include "app/descriptor_limit.h"
#include "app/live_change.h"
#include "app/memory_plan.h"
#include "app/mount_signals.h"
#include "app/store_checks.h"
#include "app/version.h"
#include "app/worker_message.h"
#include "base/exit_status.h"
#include "base/leave_no_core.h"
#include "base/log.h"
#include "cache/cache_volume.h"
#include "control/admin_server.h"
#include "control/admin_token.h"
#include "fs/shared_hand_over.h"
#include "fuse/session.h"

namespace shoal {
namespace {

// Beside its connections a mount has files of its cache open: those of files that are open, and in
// each directory and in memory two for each of the objects that were used last.
constexpr uint64_t kDescriptorsOfFiles = 256;

uint64_t FilesOf(const CacheOptions& cache) {
  const bool in_memory = cache.enabled && cache.memory_capacity_mib > 0;
  const uint64_t cache_count = DirectoryCount(cache) + (in_memory ? 1 : 0);
  return kDescriptorsOfFiles + cache_count * 2 * CacheVolume::kIdleObjectsMax;
}

uint64_t ConnectionsOf(const MountOptions& options) {
  return options.origin.connection_count_max + options.warmup.connection_count_max;
}

void CheckDescriptors(const MountOptions& options) {
  const uint64_t descriptors = RaiseDescriptorLimit();
  const uint64_t connections = ConnectionsOf(options);
  const uint64_t files = FilesOf(options.cache);
  if (descriptors < connections + files)
    log::Warn(
        "no more than {} descriptors may be open, too few for {} connections and {} files: reads "
        "may fail; raise `ulimit -Hn`, or LimitNOFILE= of the unit",
        descriptors, connections, files);
}

void PrepareProcess(const MountOptions& options) {
  LeaveNoCore();
  signal(SIGPIPE, SIG_IGN);
  // Sent when somebody opens a file that the cache has a lease of (cache/cache_directory.cc), and
  // deadly otherwise.
  signal(SIGIO, SIG_IGN);
  CheckDescriptors(options);
}

void LogStart(const MountPlan& plan) {
  log::Info("shoal {}: {} on {}", kVersion, log::Printable(plan.source), plan.mount_point);
  for (const Notice& notice : plan.options.notices) {
    if (notice.is_warning)
      log::Warn("{}", notice.text);
    else
      log::Info("{}", notice.text);
  }
}

int Refuse(const WorkerSeat& seat, int status, const Error& error) {
  SendMessage(seat.keeper_fd,
              {.kind = WorkerMessage::Kind::kFailed, .exit_status = status, .text = error.detail});
  return status;
}

// Says so, and waits for the keeper's word, standing by meanwhile if that is asked. The path to
// write the state to, or empty: there is nobody to serve for, or it cannot stand by.
std::string AwaitGo(const WorkerSeat& seat, SessionChannel& channel) {
  using Kind = WorkerMessage::Kind;
  SendMessage(seat.keeper_fd, {.kind = Kind::kReady});
  while (const auto word = ReceiveMessage(seat.keeper_fd)) {
    if (word->kind == Kind::kGo) return word->text;
    if (word->kind != Kind::kStandBy) continue;
    if (const Result<> stands = StandBy(channel); !stands) {
      Refuse(seat, kExitFailure, stands.error());
      break;
    }
    SendMessage(seat.keeper_fd, {.kind = Kind::kStandsBy});
  }
  return "";
}

int StatusOf(const Error& error) {
  return error.code == Errc::kInvalid ? kExitUsage : kExitFailure;
}

// One that recovers begins without directories of the disk cache that are not to be had, and does
// without a memory cache that cannot be made, which `options` then say.
Result<Node> MakeNode(MountOptions& options, const WorkerSeat& seat, const Clock& clock,
                      HandOver& hand_over) {
  const FileDescriptor medium(seat.medium_fd);
  const auto assemble = [&](const MountOptions& with) {
    const int copy = medium.valid() ? fcntl(medium.get(), F_DUPFD_CLOEXEC, 3) : -1;
    return Assemble(with, clock, hand_over, FileDescriptor(copy));
  };
  MountOptions with = options;
  with.cache.directories_may_be_missing = seat.recovers;
  with.origin.files_may_be_missing = seat.recovers;
  Result<Node> node = assemble(with);
  if (node || !seat.recovers) return node;
  with.cache.memory_capacity_mib = 0;
  Result<Node> without = assemble(with);
  if (!without) return node;
  log::Error("served without the memory cache: {}", node.error().detail);
  options.cache.memory_capacity_mib = 0;
  return without;
}

// Once the kernel was told not to ask for opens, it tells of no release either, of files that were
// opened before as well: so the mount keeps to what it was made with.
SessionOptions SessionOptionsOf(const MountOptions& options, MountMemory& memory, bool attaches) {
  SessionOptions session = options.session;
  if (attaches)
    session.open_requests = memory.opens_go_unasked() ? "off" : "on";
  else
    memory.SetOpensGoUnasked(session.open_requests == "off");
  return session;
}

uint64_t NumberOf(const std::vector<std::string>& options) {
  const std::string text = fmt::format("{}", fmt::join(options, "\n"));
  return XXH3_64bits(text.data(), text.size());
}

void NameThisProcess(MountState& state) {
  state.warning.clear();
  state.version = kVersion;
  state.keeper_pid = getppid();
  state.worker_pid = getpid();
}

void ForgetNames(Session& session) {
  const Result<> forgotten = session.ForgetNames();
  if (!forgotten && forgotten.error().code != Errc::kUnsupported)
    log::Warn("{}", forgotten.error().detail);
}

// What others may read of this process, and the keeper's facts of the mount.
Result<> Announce(const MountPlan& plan, MountState state, const std::string& warning,
                  const std::string& state_path, MountMemory& memory, Session& session,
                  const WorkerSeat& seat) {
  if (!seat.attaches) RETURN_IF_ERROR(memory.SaveInit(session.init_message()));
  memory.SetOutlivesItsWorker(session.facts().outlives_its_process);
  memory.SetUsesRings(session.facts().io_uring);
  memory.SetRecoveryLimit(plan.options.command.recovery_limit_seconds);
  // What the kernel keeps of names it keeps by the options of before.
  const uint64_t options = NumberOf(state.options);
  if (seat.attaches && options != memory.options_served()) ForgetNames(session);
  memory.SetOptionsServed(options);
  NameThisProcess(state);
  state.warning = warning;
  Result<> written = WriteMountState(state_path, state);
  if (written || !seat.recovers) return written;
  log::Error("{}", written.error().detail);
  return {};
}

// What the keeper put there. It has to fit into the memory of this process, or no worker could be
// started with it. kUnsupported: it takes another process.
Result<> ChangeTo(const std::string& state_path, MountOptions& in_force, Node& node,
                  Session& session, DeferredControlRoom& control_room, MountMemory& memory,
                  const Clock& clock) {
  ASSIGN_OR_RETURN(MountState state, ReadMountState(state_path));
  ASSIGN_OR_RETURN(MountPlan next, PlanOf(state));
  if (const auto others = OptionsThatTakeAnotherWorker(in_force, next.options); !others.empty())
    return Fail(Errc::kUnsupported,
                fmt::format("{}: takes another process", fmt::join(others, ", ")));
  NameThisProcess(state);
  RETURN_IF_ERROR(WriteMountState(state_path, state));
  RETURN_IF_ERROR(ChangeLive(node, in_force, next.options, clock));
  if (const uint64_t count = next.options.warmup.connection_count_max;
      count != in_force.warmup.connection_count_max) {
    log::Info("up to {} connections of warm-up from now on", count);
    control_room.SetWarmupConnectionCountMax(count);
  }
  if (ConnectionsOf(next.options) > ConnectionsOf(in_force)) CheckDescriptors(next.options);
  // The kernel believes the names that it has for as long as it was told.
  if (next.options.file_system.name_valid_seconds < in_force.file_system.name_valid_seconds)
    ForgetNames(session);
  in_force = std::move(next.options);
  memory.SetRecoveryLimit(in_force.command.recovery_limit_seconds);
  memory.SetOptionsServed(NumberOf(state.options));
  return {};
}

void SayHowItChanged(const WorkerSeat& seat, const Result<>& changed) {
  using Kind = WorkerMessage::Kind;
  if (changed) {
    SendMessage(seat.keeper_fd, {.kind = Kind::kChanged});
    return;
  }
  const Error& error = changed.error();
  SendMessage(seat.keeper_fd,
              {.kind = error.code == Errc::kUnsupported ? Kind::kCannotChange : Kind::kFailed,
               .exit_status = kExitFailure,
               .text = error.detail});
}

// Until MountSignals::Finish; what is given outlives that.
void ObeySignals(MountSignals& signals, Session& session, Node& node, const WorkerSeat& seat) {
  signals.StopOn([&session, &node, was_asked = std::make_shared<std::atomic<bool>>(false)] {
    session.Stop();
    // The second time, whoever still waits for the store is told that it is over.
    if (was_asked->exchange(true)) node.stop.request_stop();
  });
  signals.HoldOn([&session, &seat] {
    session.Hold();
    SendMessage(seat.keeper_fd, {.kind = WorkerMessage::Kind::kHolding});
  });
  signals.ForgetOn([&session, &node] {
    node.file_system->ClearDirectoryCache();
    node.file_system->ClearMetadataCache();
    const Result<> kernel = session.ForgetNames();
    log::Info("forgot what was kept of names, as a signal asked{}{}",
              kernel ? "" : "; the kernel: ", kernel ? "" : kernel.error().detail);
  });
}

}  // namespace

int ServeMount(const MountPlan& plan, const MountState& state, MountMemory& memory,
               const WorkerSeat& seat) {
  PrepareProcess(plan.options);
  MountSignals signals;
  LogStart(plan);
  const SystemClock clock;
  if (!seat.recovers)
    if (const auto places = CheckCachePlaces(plan.options.cache, plan.mount_point); !places)
      return Refuse(seat, StatusOf(places.error()), places.error());
  // One that attaches waits first: until the one before has ended, what it holds is taken.
  std::string state_path;
  std::string warning;
  SessionChannel channel{.device_fd = seat.device_fd, .ring_memory_fd = seat.rings_fd};
  if (seat.attaches) {
    if (!seat.recovers)
      if (const Result<> checked = CheckBeforeTakingOver(plan, memory, clock); !checked)
        return Refuse(seat, StatusOf(checked.error()), checked.error());
    channel.saved_init = memory.saved_init();
    channel.mount_device = memory.device();
    if (const Result<> prepared = PrepareRings(channel); !prepared)
      return Refuse(seat, kExitFailure, prepared.error());
    state_path = AwaitGo(seat, channel);
    if (state_path.empty()) return kExitFailure;
  }
  auto hand_over = SharedHandOver::Attach(memory.hand_over_area());
  if (!hand_over) return Refuse(seat, kExitFailure, hand_over.error());
  MountOptions in_force = plan.options;
  const SessionOptions session_options = SessionOptionsOf(plan.options, memory, seat.attaches);
  in_force.file_system.opens_go_unasked = session_options.open_requests == "off";
  auto node = MakeNode(in_force, seat, clock, **hand_over);
  if (!node) return Refuse(seat, StatusOf(node.error()), node.error());
  if (!seat.attaches) {
    auto probed = CheckBeforeMounting(plan, *node, clock);
    if (!probed) return Refuse(seat, kExitFailure, probed.error());
    warning = *std::move(probed);
    if (!warning.empty()) log::Warn("{}", warning);
    state_path = AwaitGo(seat, channel);
    if (state_path.empty()) return kExitFailure;
  }
  signals.Keep();
  auto session = StartSession(*node->file_system, std::move(channel), plan.mount_point,
                              session_options, clock, **hand_over);
  if (!session) return Refuse(seat, kExitFailure, session.error());
  ObeySignals(signals, **session, *node, seat);
  // After the session before this one has ended, so that its port is free.
  const bool has_its_path = state_path != OwnStatePath(StateDirectory(plan.mount_point), getppid());
  const auto open_room = [&](bool has_its_path_now) {
    return ControlRoom::Open(plan, *node, **session, clock, has_its_path_now,
                             memory.workers_before());
  };
  auto control_room = std::make_optional<DeferredControlRoom>();
  const Result<> opened = control_room->Open([&] { return open_room(has_its_path); });
  if (!opened && !seat.recovers) {
    signals.Finish();  // they use the session
    return Refuse(seat, StatusOf(opened.error()), opened.error());
  }
  if (!opened) {
    log::Error("served without the admin port until it can be opened: {}", opened.error().detail);
    control_room->KeepTrying([&]() -> Result<std::unique_ptr<ControlRoom>> {
      // The rest of a room is much, if it is made in vain.
      RETURN_IF_ERROR(AdminToken::Open(plan.options.admin.token_file, clock));
      RETURN_IF_ERROR(AdminServer::TryPort(plan.options.admin, clock));
      const auto served = ReadMountState(StateDirectory(plan.mount_point) + "/state.json");
      // By now the path may be another mount's.
      return open_room(served && served->keeper_pid == getppid());
    });
  }
  signals.ChangeOn([&in_force, &node, &session, &control_room, &seat, &memory, &clock,
                    path = StateDirectory(plan.mount_point) + "/state.next.json"] {
    SayHowItChanged(seat, ChangeTo(path, in_force, *node, **session, *control_room, memory, clock));
  });
  if (const auto announced = Announce(plan, state, warning, state_path, memory, **session, seat);
      !announced) {
    signals.Finish();
    return Refuse(seat, kExitFailure, announced.error());
  }
  (*session)->OnBegun([&control_room] { control_room->Begin(); });
  // The kernel has its greeting, and what it sends from now on waits for Serve.
  SendMessage(seat.keeper_fd, {.kind = WorkerMessage::Kind::kServing});
  const Result<> served = (*session)->Serve();
  if (served) SendMessage(seat.keeper_fd, {.kind = WorkerMessage::Kind::kAnswered});
  node->stop.request_stop();
  signals.Finish();
  control_room.reset();
  session->reset();
  if (served) return kExitSuccess;
  log::Error("{} is served no more: {}", plan.mount_point, served.error().detail);
  return kExitFailure;
}

}  // namespace shoal
