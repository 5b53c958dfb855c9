// A command of `shoal`, declared once: main runs it, and --help, the completions and the manual
// pages are made from the same declaration.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace shoal {

class Command {
 public:
  virtual ~Command() = default;
  // As typed after "shoal", with a space between the words: "warmup load".
  [[nodiscard]] virtual std::string_view name() const = 0;
  // Adds its options, arguments and description. What they are bound to lives as long as this.
  virtual void Declare(CLI::App& app) = 0;
  // After the command line was read. The exit status (exit_status.h).
  virtual int Run() = 0;
};

// Those that speak to mounts that are there, by their admin port.
std::vector<std::unique_ptr<Command>> MakeMountCommands();

// The exit status of what failed: who is not root is told so as of a wrong command line, as by
// mount(8).
int StatusOf(const Error& error);

// Whether the command line is one of a program, which reads what went wrong as well.
bool AsksForJson(int argc, const char* const* argv);

// Says what failed as `name`, on stderr, and with `as_json` also on stdout, as one object:
// ExitStatus and ErrorMessage. Answers the status. Does not throw where neither can be written.
int Complain(std::string_view name, int status, std::string_view reason, bool as_json);

// For the check() of an option that counts: strtoull takes "-5" for a very large number. Empty: it
// is not negative.
std::string WhyNegative(const std::string& text);

// Hands on what was printed. kUnreachable, with the system's reason: it cannot be written.
Result<> FlushOutput();

// Runs `body`, which answers an exit status, and then hands on what it printed. What cannot be
// written, and what is thrown, is said as `name`, and a failure.
int RunGuarded(std::string_view name, bool as_json, const std::function<int()>& body);

// Parses argv[1] and on, and runs `command`, which calls itself "`program` `name`", or only by
// its name.
int RunCommand(Command& command, std::string_view program, int argc, const char* const* argv);

}  // namespace shoal
