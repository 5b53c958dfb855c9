// One program under several names: shoal with its commands, and mount.TYPE, the helper
// that mount(8) runs for `mount -t TYPE`.

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "app/exit_status.h"
#include "app/mount_command.h"
#include "app/option_reference.h"
#include "app/origin_command.h"
#include "app/restart_command.h"
#include "app/umount_command.h"
#include "app/version.h"
#include "app/worker_command.h"

namespace {

constexpr std::string_view kUsage =
    "usage: shoal COMMAND ...\n"
    "\n"
    "  mount SOURCE MOUNTPOINT [-o OPTIONS]   mount a bucket of OSS or S3, read-only\n"
    "  umount MOUNTPOINT                      unmount it\n"
    "  restart MOUNTPOINT                     replace the process that serves it\n"
    "  update MOUNTPOINT -o OPTIONS           change options of it\n"
    "  rollback MOUNTPOINT                    undo the last update\n"
    "  origin --root DIR                      serve a directory as OSS and S3, for development\n"
    "  version\n"
    "  help\n"
    "\n"
    "shoal COMMAND --help says more. Under the name mount.TYPE it is the helper of\n"
    "mount -t TYPE.\n";

constexpr std::string_view kHelperPrefix = "mount.";

}  // namespace

int main(int argc, char** argv) {
  std::string_view program = argc > 0 ? argv[0] : "shoal";
  program.remove_prefix(program.rfind('/') + 1);  // npos + 1 is 0
  if (program.starts_with(kHelperPrefix))
    return shoal::RunMountCommand(argc, argv,
                                  {.text = program,
                                   .subtype = program.substr(program.rfind('.') + 1),
                                   .is_helper = true,
                                   .program = argv[0]});

  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "mount")
    return shoal::RunMountCommand(argc - 1, argv + 1,
                                  {.text = "shoal mount", .subtype = "shoal", .program = argv[0]});
  if (command == "restart") return shoal::RunRestartCommand(argc - 1, argv + 1);
  if (command == "update") return shoal::RunUpdateCommand(argc - 1, argv + 1);
  if (command == "rollback") return shoal::RunRollbackCommand(argc - 1, argv + 1);
  if (command == "worker") return shoal::RunWorkerCommand(argc - 1, argv + 1);
  if (command == "umount") return shoal::RunUmountCommand(argc - 1, argv + 1);
  if (command == "origin") return shoal::RunOriginCommand(argc - 1, argv + 1);
  if (command == "version" || command == "--version" || command == "-V") {
    fmt::print("shoal {}\n", shoal::kVersion);
    return shoal::kExitSuccess;
  }
  if (command == "options" && argc == 3 && std::string_view(argv[2]) == "--markdown") {
    fmt::print("{}", shoal::OptionsAsMarkdown());
    return shoal::kExitSuccess;
  }
  const bool asked = command == "help" || command == "--help" || command == "-h";
  if (!asked && !command.empty()) fmt::print(stderr, "shoal: no command '{}'\n\n", command);
  fmt::print(asked ? stdout : stderr, "{}", kUsage);
  return asked ? shoal::kExitSuccess : shoal::kExitUsage;
}
