// One program under several names: shoal with its commands, and mount.TYPE, the helper
// that mount(8) runs for `mount -t TYPE`.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "app/command_list.h"
#include "app/mount_command.h"
#include "app/option_reference.h"
#include "app/origin_command.h"
#include "app/restart_command.h"
#include "app/umount_command.h"
#include "app/version.h"
#include "app/worker_command.h"
#include "base/exit_status.h"
#include "cli/efc_command.h"

namespace {

constexpr std::string_view kUsage =
    "usage: shoal COMMAND ...\n"
    "\n"
    "  mount SOURCE MOUNTPOINT [-o OPTIONS]   mount a bucket of OSS or S3, read-only\n"
    "  umount MOUNTPOINT                      unmount it\n"
    "  warmup load|stat|cancel PATH...        bring files into the cache before they are read\n"
    "  top MOUNTPOINT                         show live what a mount does\n"
    "  stat PATH                              say how much of a path is cached\n"
    "  doctor [MOUNTPOINT | SOURCE -o ...]    find out what is wrong, and what to do\n"
    "  restart MOUNTPOINT                     replace the process that serves it\n"
    "  update MOUNTPOINT -o OPTIONS           change options of it\n"
    "  rollback MOUNTPOINT                    undo the last update\n"
    "  origin --root DIR                      serve a directory as OSS and S3, for development\n"
    "  completion bash|zsh|fish               print a completion script\n"
    "  manual [PAGE]                          print a page of the manual\n"
    "  version\n"
    "  help\n"
    "\n"
    "shoal COMMAND --help says more. Under the name mount.TYPE it is the helper of\n"
    "mount -t TYPE.\n";

constexpr std::string_view kHelperPrefix = "mount.";

// How many words of the command line, from argv[1], are the command's name; 0 if it is another.
int WordsOf(const shoal::Command& command, int argc, char** argv) {
  std::string_view name = command.name();
  int word_count = 0;
  while (!name.empty()) {
    const std::string_view word = name.substr(0, name.find(' '));
    if (++word_count >= argc || word != argv[word_count]) return 0;
    name.remove_prefix(std::min(name.size(), word.size() + 1));
  }
  return word_count;
}

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

  if (const auto efc = shoal::MakeEfcCommand(); program == efc->name())
    return shoal::RunCommand(*efc, "", argc, argv);

  const std::string_view command = argc > 1 ? argv[1] : "";
  for (const auto& known : shoal::MakeCommands())
    if (const int word_count = WordsOf(*known, argc, argv); word_count > 0)
      return shoal::RunCommand(*known, "shoal", argc - word_count, argv + word_count);
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
