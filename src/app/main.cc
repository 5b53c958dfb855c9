// One program under several names: shoal with its commands, and mount.TYPE, the helper
// that mount(8) runs for `mount -t TYPE`.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "app/command_list.h"
#include "app/mount_command.h"
#include "app/option_reference.h"
#include "app/umount_command.h"
#include "app/version.h"
#include "app/worker_command.h"
#include "base/exit_status.h"
#include "cli/efc_command.h"

namespace {

// The first sentence of each command's description; of those that begin with `word` alone, if it
// is not empty.
std::string Usage(std::string_view word = {}) {
  std::string out = fmt::format("usage: shoal {}{}COMMAND ...\n\n", word, word.empty() ? "" : " ");
  for (const shoal::DescribedCommand& command : shoal::DescribeCommands()) {
    if (!word.empty() && !command.name.starts_with(fmt::format("shoal {} ", word))) continue;
    const std::string_view doc = command.doc;
    const size_t end = std::min(doc.find(". "), doc.find(": "));
    std::string summary(doc.substr(0, end));
    if (!summary.ends_with('.')) summary += '.';
    out += fmt::format("  {:<15} {}\n", command.name.substr(std::string_view("shoal ").size()),
                       summary);
  }
  return out +
         "\nshoal COMMAND --help says more; shoal version says which this is. Under the name\n"
         "mount.TYPE it is the helper of mount -t TYPE.\n";
}

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

// All but those that serve a mount.
int Run(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  for (const auto& known : shoal::MakeCommands())
    if (const int word_count = WordsOf(*known, argc, argv); word_count > 0)
      return shoal::RunCommand(*known, "shoal", argc - word_count, argv + word_count);
  if (command == "umount") return shoal::RunUmountCommand(argc - 1, argv + 1);
  if (command == "version" || command == "--version" || command == "-V") {
    if (shoal::AsksForJson(argc, argv))
      fmt::print("{}\n", nlohmann::json({{"version", shoal::kVersion}}).dump());
    else
      fmt::print("shoal {}\n", shoal::kVersion);
    return shoal::kExitSuccess;
  }
  const auto asks = [](std::string_view text) {
    return text == "help" || text == "--help" || text == "-h";
  };
  if (command == "options") {
    const std::string_view what = argc == 3 ? argv[2] : "";
    const bool asked = asks(what);
    if (what == "--markdown")
      fmt::print("{}", shoal::OptionsAsMarkdown());
    else
      fmt::print(
          asked ? stdout : stderr,
          "usage: shoal options --markdown\n\n"
          "Prints the mount options as docs/options.md; shoal mount --help has them as well.\n");
    return asked || what == "--markdown" ? shoal::kExitSuccess : shoal::kExitUsage;
  }
  if (command == "warmup") {
    const std::string_view what = argc > 2 ? argv[2] : "";
    if (!asks(what) && !what.empty()) fmt::print(stderr, "shoal: no command 'warmup {}'\n\n", what);
    fmt::print(asks(what) ? stdout : stderr, "{}", Usage(command));
    return asks(what) ? shoal::kExitSuccess : shoal::kExitUsage;
  }
  const bool asked = asks(command);
  if (!asked && !command.empty()) fmt::print(stderr, "shoal: no command '{}'\n\n", command);
  fmt::print(asked ? stdout : stderr, "{}", Usage());
  return asked ? shoal::kExitSuccess : shoal::kExitUsage;
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
  if (command == "mount")
    return shoal::RunMountCommand(argc - 1, argv + 1,
                                  {.text = "shoal mount", .subtype = "shoal", .program = argv[0]});
  if (command == "worker") return shoal::RunWorkerCommand(argc - 1, argv + 1);
  return shoal::RunGuarded("shoal", /*as_json=*/false, [&] { return Run(argc, argv); });
}
