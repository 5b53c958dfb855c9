#include "app/umount_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "app/keeper_socket.h"
#include "app/mount_point.h"
#include "app/mount_state.h"
#include "base/exit_status.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "cli/command.h"
#include "fuse/mount.h"
#include "fuse/mount_table.h"

namespace shoal {
namespace {

// More than a keeper gives what is on its way to a cache's disk.
constexpr int kEndMaxMs = 40'000;
// A worker that has just come has processes that look at its mount for a moment, in a mount
// namespace of their own.
constexpr int kElsewhereMs = 3'000;

// Until the process has let go of its cache's file system, so that that can be unmounted next.
void AwaitEnd(int pidfd, const std::string& device) {
  pollfd ended{pidfd, POLLIN, 0};
  if (poll(&ended, 1, kElsewhereMs) == 1) return;
  if (IsConnected(device))
    fmt::print(stderr, "shoal umount: it is mounted elsewhere as well, and served there\n");
  else if (poll(&ended, 1, kEndMaxMs) == 0)
    fmt::print(stderr, "shoal umount: the daemon is still busy with its cache\n");
}

// Answers its path.
Result<std::string> UnmountBucket(const std::string& path, bool lazy) {
  if (geteuid() != 0) return Fail(Errc::kDenied, "only root can unmount a bucket");
  ASSIGN_OR_RETURN(const std::string mount_point, ResolveMountPoint(path));
  ASSIGN_OR_RETURN(const auto mounts, MountsAt(mount_point));
  if (mounts.empty()) return Fail(Errc::kNotFound, mount_point + " is not mounted");
  const MountEntry& top = mounts.back();
  if (!top.type.starts_with("fuse."))
    return Fail(Errc::kInvalid, fmt::format("{} is a mount of type {}, not of a bucket; use umount",
                                            mount_point, log::Printable(top.type)));
  const auto state = ReadMountState(StateDirectory(mount_point) + "/state.json");
  const FileDescriptor keeper(state && !lazy && IsKept(StateDirectory(mount_point))
                                  ? static_cast<int>(syscall(SYS_pidfd_open, state->keeper_pid, 0))
                                  : -1);
  const auto unmounted = Unmount(mount_point, lazy);
  if (!unmounted && unmounted.error().code == Errc::kBusy)
    return Fail(Errc::kBusy, mount_point +
                                 " is in use; end the programs that use it, or give -l to take "
                                 "it from its path now and let them finish");
  RETURN_IF_ERROR(unmounted);
  if (keeper.valid()) AwaitEnd(keeper.get(), top.device);
  return mount_point;
}

struct UmountArguments {
  std::string mount_point;
  bool lazy = false;
  bool json = false;
};

void Declare(CLI::App& app, UmountArguments& out) {
  app.description("Unmounts a bucket.");
  app.add_option("MOUNTPOINT", out.mount_point, "Where it is mounted")->required();
  app.add_flag("-l,--lazy", out.lazy,
               "Also if it is in use: programs finish with what they opened");
  app.add_flag("--json", out.json, "Print which mount it was");
}

}  // namespace

DescribedCommand DescribeUmountCommand() {
  UmountArguments unused;
  CLI::App app;
  Declare(app, unused);
  return Describe("shoal umount", app);
}

int RunUmountCommand(int argc, const char* const* argv) {
  UmountArguments arguments;
  CLI::App app("", "shoal umount");
  Declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return Complain("shoal umount", kExitUsage,
                    fmt::format("{}; see shoal umount --help", error.what()),
                    AsksForJson(argc, argv));
  }
  const auto unmounted = UnmountBucket(arguments.mount_point, arguments.lazy);
  if (unmounted && arguments.json)
    fmt::print("{}\n", nlohmann::json{{"MountPoint", log::Printable(*unmounted)}}.dump(2));
  if (unmounted) return kExitSuccess;
  return Complain("shoal umount", StatusOf(unmounted.error()), unmounted.error().detail,
                  arguments.json);
}

}  // namespace shoal
