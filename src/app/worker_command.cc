#include "app/worker_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "app/mount_memory.h"
#include "app/mount_plan.h"
#include "app/mount_state.h"
#include "app/serve_mount.h"
#include "app/worker_message.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/start_thread.h"

namespace shoal {
namespace {

// -1 if it is not the number of an open descriptor, which is then of this process alone.
int DescriptorOf(std::string_view text) {
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc{} || end != text.data() + text.size() || fd < 3) return -1;
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

Result<int> Serve(const std::string& state_path, int memory_fd, const WorkerSeat& seat) {
  ASSIGN_OR_RETURN(const MountState state, ReadMountState(state_path));
  // Another mount may just have taken the path.
  if (seat.recovers && state.keeper_pid != 0 && state.keeper_pid != getppid())
    return Fail(Errc::kInvalid, state_path + " is another mount's");
  ASSIGN_OR_RETURN(const MountPlan plan, seat.recovers ? PlanToRecover(state) : PlanOf(state));
  RETURN_IF_ERROR(log::Start(state.foreground ? log::Target::kStderr : log::Target::kSyslog,
                             plan.options.command.log_level));
  ASSIGN_OR_RETURN(const auto memory, MountMemory::Open(memory_fd));
  return ServeMount(plan, state, *memory, seat);
}

}  // namespace

// worker MOUNTPOINT STATE-FILE DEVICE-FD MEMORY-FD MEDIUM-FD RINGS-FD KEEPER-FD
//        begin|attach|recover
int RunWorkerCommand(int argc, const char* const* argv) {
  const std::string_view how = argc == 9 ? argv[8] : "";
  const bool complete = how == "begin" || how == "attach" || how == "recover";
  const WorkerSeat seat{.device_fd = complete ? DescriptorOf(argv[3]) : -1,
                        .medium_fd = complete ? DescriptorOf(argv[5]) : -1,
                        .rings_fd = complete ? DescriptorOf(argv[6]) : -1,
                        .keeper_fd = complete ? DescriptorOf(argv[7]) : -1,
                        .attaches = how == "attach" || how == "recover",
                        .recovers = how == "recover"};
  const int memory_fd = complete ? DescriptorOf(argv[4]) : -1;
  if (seat.device_fd < 0 || memory_fd < 0 || seat.keeper_fd < 0) {
    fmt::print(stderr, "shoal worker: this is for `shoal mount` to run\n");
    return kExitUsage;
  }
  const Result<int> status = IfThreadsAllow([&] { return Serve(argv[2], memory_fd, seat); });
  if (status) return *status;
  const int why_not = status.error().code == Errc::kBusy ? kExitFailure : kExitUsage;
  SendMessage(seat.keeper_fd, {.kind = WorkerMessage::Kind::kFailed,
                               .exit_status = why_not,
                               .text = status.error().detail});
  return why_not;
}

}  // namespace shoal
