#include "app/serve_mount.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "app/assemble.h"
#include "base/exit_status.h"
#include "app/mount_signals.h"
#include "app/probe_bucket.h"
#include "app/version.h"
#include "base/log.h"
#include "fuse/io_uring_switch.h"
#include "fuse/mount.h"
#include "fuse/mount_table.h"
#include "fuse/session.h"

namespace shoal {
namespace {

constexpr rlim_t kDescriptorCountMax = 1 << 20;
constexpr uint64_t kProbeSecondsMax = 15;

void PrepareProcess() {
  prctl(PR_SET_DUMPABLE, 0);
  signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = std::min(limit.rlim_max, kDescriptorCountMax);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
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

Result<> Probe(const MountPlan& plan, const Node& node, const Clock& clock) {
  const OriginOptions& origin = plan.options.origin;
  const uint64_t seconds = std::min(origin.request_deadline_seconds, kProbeSecondsMax);
  return ProbeBucket(*node.store, origin, plan.options.file_system.prefix,
                     Deadline::After(clock, std::chrono::seconds(static_cast<int64_t>(seconds))));
}

Result<int> MountPlanned(const MountPlan& plan) {
  if (plan.options.session.transport != "dev") {
    const auto enabled = EnableIoUring();
    if (!enabled && enabled.error().code != Errc::kUnsupported)
      log::Warn("FUSE over io_uring stays as it is: {}", enabled.error().detail);
  }
  return Mount({.source = plan.source,
                .subtype = plan.subtype,
                .mount_point = plan.mount_point,
                .flags = plan.options.mount_flags});
}

// Only after the descriptor is closed, which fails what programs still wait for. A mount
// that is in use is gone from the path, and ends when they let go of it.
void RemoveMount(const std::string& mount_point, const std::string& device) {
  // What is on top there now may be somebody else's.
  const auto mounts = MountsAt(mount_point);
  if (!mounts || mounts->empty() || mounts->back().device != device) return;
  if (Unmount(mount_point, /*lazy=*/false)) return;
  const auto detached = Unmount(mount_point, /*lazy=*/true);
  if (!detached) log::Error("{}", detached.error().detail);
}

int ServeMounted(const MountPlan& plan, Node& node, int device_fd, MountSignals& signals,
                 const ReportVerdict& report, const Clock& clock, HandOver& hand_over) {
  const auto mounts = MountsAt(plan.mount_point);
  const std::string device = mounts && !mounts->empty() ? mounts->back().device : "";
  auto session = StartSession(*node.file_system, device_fd, plan.mount_point, /*saved_init=*/{},
                              plan.options.session, clock, hand_over);
  if (!session) {
    close(device_fd);
    RemoveMount(plan.mount_point, device);
    report({kExitFailure, session.error().detail});
    return kExitFailure;
  }
  signals.StopOn([&session] { (*session)->Stop(); });
  signals.ForgetOn([&session, &node] {
    node.file_system->ClearDirectoryCache();
    node.file_system->ClearMetadataCache();
    const Result<> kernel = (*session)->ForgetNames();
    log::Info("forgot what was kept of names, as a signal asked{}{}",
              kernel ? "" : "; the kernel: ", kernel ? "" : kernel.error().detail);
  });
  // The kernel has its greeting, and what it sends from now on waits for Serve. Nobody
  // knows of a mount whose caller is gone: ended by a signal, the one way there is.
  if (!report({kExitSuccess, ""})) kill(getpid(), SIGTERM);
  const Result<> served = (*session)->Serve();
  signals.Finish();
  session->reset();
  close(device_fd);
  // Otherwise somebody unmounted it, and what is at the path now is not ours.
  if (signals.came() || !served) RemoveMount(plan.mount_point, device);
  if (!served) {
    log::Error("the mount ends: {}", served.error().detail);
    return kExitFailure;
  }
  log::Info("{} is unmounted{}", plan.mount_point, signals.came() ? ", as a signal asked" : "");
  return kExitSuccess;
}

}  // namespace

int ServeMount(const MountPlan& plan, const ReportVerdict& report) {
  PrepareProcess();
  MountSignals signals;
  LogStart(plan);
  const auto fail = [&](int status, const Error& error) {
    report({status, error.detail});
    return status;
  };
  const SystemClock clock;
  NoHandOver hand_over;
  auto node = Assemble(plan.options, clock, hand_over);
  if (!node)
    return fail(node.error().code == Errc::kInvalid ? kExitUsage : kExitFailure, node.error());
  if (const auto probed = Probe(plan, *node, clock); !probed)
    return fail(kExitFailure, probed.error());
  signals.Keep();
  const auto device_fd = MountPlanned(plan);
  if (!device_fd) return fail(kExitFailure, device_fd.error());
  return ServeMounted(plan, *node, *device_fd, signals, report, clock, hand_over);
}

}  // namespace shoal
