#include "cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
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

bool AsksForJson(int argc, const char* const* argv) {
  return std::any_of(argv, argv + argc,
                     [](const char* word) { return std::string_view(word) == "--json"; });
}

int Complain(std::string_view name, int status, std::string_view reason, bool as_json) {
  // Not by fmt::print, which throws when standard error cannot be written.
  std::fputs(fmt::format("{}: {}\n", name, reason).c_str(), stderr);
  if (as_json) {
    const nlohmann::ordered_json json = {{"ExitStatus", status}, {"ErrorMessage", reason}};
    std::fputs((json.dump(-1, ' ', /*ensure_ascii=*/false,
                          nlohmann::ordered_json::error_handler_t::replace) +
                "\n")
                   .c_str(),
               stdout);
  }
  return status;
}

std::string WhyNegative(const std::string& text) {
  return text.starts_with('-') ? "may not be negative" : "";
}

Result<> FlushOutput() {
  errno = EIO;  // of what failed before
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  return Fail(Errc::kUnreachable, fmt::format("cannot write: {}", std::strerror(errno)));
}

int RunGuarded(std::string_view name, bool as_json, const std::function<int()>& body) {
  const auto fail = [&](std::string_view reason) {
    return Complain(name, kExitFailure, reason, as_json);
  };
  try {
    const int status = body();
    const Result<> flushed = FlushOutput();
    return flushed || status != kExitSuccess ? status : fail(flushed.error().detail);
  } catch (const nlohmann::json::exception& error) {
    return fail(
        fmt::format("the admin port's answer is not of this version of shoal: {}", error.what()));
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

int RunCommand(Command& command, std::string_view program, int argc, const char* const* argv) {
  const std::string name =
      program.empty() ? std::string(command.name()) : fmt::format("{} {}", program, command.name());
  const bool as_json = AsksForJson(argc, argv);
  return RunGuarded(name, as_json, [&] {
    CLI::App app("", name);
    command.Declare(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app.exit(error);
      return Complain(name, kExitUsage, fmt::format("{}; see {} --help", error.what(), name),
                      as_json);
    }
    return command.Run();
  });
}

}  // namespace shoal
