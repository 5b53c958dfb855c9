#include "cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "base/exit_status.h"
#include "cli/stat_command.h"
#include "cli/top_command.h"
#include "cli/warmup_command.h"

namespace shoal {

std::vector<std::unique_ptr<Command>> MakeMountCommands() {
  std::vector<std::unique_ptr<Command>> commands = MakeWarmupCommands();
  commands.push_back(MakeTopCommand());
  commands.push_back(MakeStatCommand());
  return commands;
}

int StatusOf(const Error& error) {
  return error.code == Errc::kDenied && geteuid() != 0 ? kExitUsage : kExitFailure;
}

int RunCommand(Command& command, std::string_view program, int argc, const char* const* argv) {
  const std::string name =
      program.empty() ? std::string(command.name()) : fmt::format("{} {}", program, command.name());
  CLI::App app("", name);
  command.Declare(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "{}: {}; see {} --help\n", name, error.what(), name);
    return kExitUsage;
  }
  try {
    return command.Run();
  } catch (const nlohmann::json::exception& error) {
    fmt::print(stderr, "{}: the admin port's answer is not of this version of shoal: {}\n", name,
               error.what());
    return kExitFailure;
  }
}

}  // namespace shoal
