#include "app/mount_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "app/background.h"
#include "app/keeper.h"
#include "app/machine_limits.h"
#include "app/memory_plan.h"
#include "app/mount_options.h"
#include "app/mount_plan.h"
#include "app/mount_point.h"
#include "app/mount_state.h"
#include "app/notify_systemd.h"
#include "app/program_path.h"
#include "app/restart_command.h"
#include "base/exit_status.h"
#include "base/log.h"

namespace shoal {
namespace {

// More than the probe of the bucket, and of a mount that is there already, may take.
constexpr std::chrono::seconds kComeUpMax{70};

// Not by fmt::print, which throws where standard error cannot be written: that ends no mount.
void Say(std::string_view name, std::string_view reason) {
  std::fputs(fmt::format("{}: {}\n", name, reason).c_str(), stderr);
}

// mount(8) calls its helper from the namespace it was started in, and leaves this to it.
Result<> EnterNamespace(const std::string& name) {
  const bool is_process_id = std::ranges::all_of(
      name, [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; });
  const std::string path = is_process_id ? "/proc/" + name + "/ns/mnt" : name;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool entered = fd >= 0 && setns(fd, CLONE_NEWNS) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!entered)
    return Fail(Errc::kInvalid,
                fmt::format("mount namespace {}: {}", log::Printable(path), std::strerror(error)));
  return {};
}

std::vector<std::string> WarningsOf(const MountOptions& options) {
  std::vector<std::string> warnings;
  for (const Notice& notice : options.notices)
    if (notice.is_warning) warnings.push_back(notice.text);
  return warnings;
}

// What the process that serves found, which has no terminal to say it on; or empty.
std::string ItsWarning(const std::string& mount_point) {
  const auto state = ReadMountState(StateDirectory(mount_point) + "/state.json");
  return state ? state->warning : "";
}

void PrintServed(const std::string& mount_point, std::vector<std::string> warnings) {
  if (std::string its = ItsWarning(mount_point); !its.empty()) warnings.push_back(std::move(its));
  const Served served{.mount_point = mount_point,
                      .replaced_for = {},
                      .at_next_mount = {},
                      .warnings = std::move(warnings)};
  std::fputs(ServedAsJson(served).c_str(), stdout);
  std::fflush(stdout);
}

int ServeInForeground(const MountPlan& plan, const MountState& state, std::string_view name,
                      bool as_json) {
  return RunKeeper(plan, state, [&](const Verdict& verdict) {
    if (verdict.exit_status != kExitSuccess) {
      Complain(name, verdict.exit_status, verdict.reason, as_json);
      return true;
    }
    if (as_json) PrintServed(plan.mount_point, WarningsOf(plan.options));
    NotifySystemdReady();
    return true;
  });
}

// Asks the mount something, as the next program will. Fails, and does not hang, if the
// daemon ends instead.
Verdict AwaitAnswer(const std::string& mount_point) {
  struct statfs unused;
  if (statfs(mount_point.c_str(), &unused) == 0) return {kExitSuccess, ""};
  return {kExitFailure, fmt::format("{} was mounted, but does not answer: {}; its log says more",
                                    mount_point, std::strerror(errno))};
}

Verdict ServeInBackground(const MountPlan& plan, const MountState& state) {
  const SystemClock clock;
  const Verdict verdict = RunInBackground(
      [&plan, &state](const ReportVerdict& tell) {
        const auto started = log::Start(log::Target::kSyslog, plan.options.command.log_level);
        if (!started) {
          tell({kExitUsage, started.error().detail});
          return kExitUsage;
        }
        // For whoever reads the log of a boot, and not the output of mount.
        return RunKeeper(plan, state, [&tell](const Verdict& said) {
          if (said.exit_status != kExitSuccess) log::Error("{}", said.reason);
          return tell(said);
        });
      },
      kComeUpMax, clock);
  return verdict.exit_status == kExitSuccess ? AwaitAnswer(plan.mount_point) : verdict;
}

}  // namespace

int RunMountCommand(int argc, const char* const* argv, const MountCommandName& name) {
  const auto arguments = ParseMountArguments(argc, argv, name);
  if (!arguments) return arguments.error();
  const bool as_json = arguments->json;
  const auto fail = [&](int status, const Error& error) {
    return Complain(name.text, status, error.detail, as_json);
  };
  if (IsRemount(arguments->options))
    return RunRemount(name.text, arguments->mount_point, arguments->options,
                      {.fake = arguments->fake, .as_json = as_json});
  MountState state{.source = arguments->source,
                   .subtype = arguments->subtype,
                   .mount_point = {},
                   .options = arguments->options,
                   .log_level = arguments->log_level,
                   .sloppy = arguments->sloppy,
                   .foreground = arguments->foreground,
                   .binary = {},
                   .version = {}};
  auto options = OptionsOf(state);
  if (!options) return fail(kExitUsage, options.error());
  if (const auto started = log::Start(log::Target::kStderr, options->command.log_level); !started)
    return fail(kExitUsage, started.error());
  if (geteuid() != 0)
    return fail(kExitUsage, {Errc::kDenied, "only root can mount; use sudo, or an fstab entry"});
  if (!arguments->mount_namespace.empty())
    if (const auto entered = EnterNamespace(arguments->mount_namespace); !entered)
      return fail(kExitFailure, entered.error());
  auto mount_point = ResolveMountPoint(arguments->mount_point);
  if (!mount_point && mount_point.error().code == Errc::kNotFound)
    mount_point.error().detail += "; make the directory first";
  if (!mount_point) return fail(kExitFailure, mount_point.error());
  if (const auto checked = CheckMountPoint(*mount_point); !checked)
    return fail(kExitFailure, checked.error());
  if (const auto fits = FitIntoMemory(FindMemoryLimit(), *options); !fits)
    return fail(kExitUsage, fits.error());
  if (arguments->fake) return kExitSuccess;

  state.mount_point = *std::move(mount_point);
  state.binary = PathOfThisProgram(name.program);
  if (const auto checked = CheckMountState(state); !checked)
    return fail(kExitUsage, checked.error());
  const MountPlan plan{.source = state.source,
                       .subtype = state.subtype,
                       .mount_point = state.mount_point,
                       .options = *std::move(options)};
  if (arguments->foreground) return ServeInForeground(plan, state, name.text, as_json);
  // The daemon logs them, too; but whoever typed the option is here.
  const std::vector<std::string> warnings = WarningsOf(plan.options);
  for (const std::string& warning : warnings) Say(name.text, warning);
  const Verdict verdict = ServeInBackground(plan, state);
  if (verdict.exit_status != kExitSuccess)
    return Complain(name.text, verdict.exit_status, verdict.reason, as_json);
  if (const std::string its = ItsWarning(plan.mount_point); !its.empty())
    Say(name.text, "warning: " + its);
  if (as_json)
    PrintServed(plan.mount_point, warnings);
  else if (arguments->verbose)
    std::fputs(
        fmt::format("{}: {} mounted on {}\n", name.text, plan.source, plan.mount_point).c_str(),
        stdout);
  return kExitSuccess;
}

}  // namespace shoal
