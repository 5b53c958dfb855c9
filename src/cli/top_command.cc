#include "cli/top_command.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <thread>

#include "base/exit_status.h"
#include "cli/admin_client.h"
#include "cli/lasting_client.h"
#include "cli/top_screen.h"

namespace shoal {
namespace {

class TopCommand final : public Command {
 public:
  [[nodiscard]] std::string_view name() const override { return "top"; }

  void Declare(CLI::App& app) override {
    app.description(
        "Shows what a mount does, once a second: throughput and where it comes from, the tiers "
        "and how full they are, latencies, warm-ups, recent trouble.");
    app.add_option("MOUNTPOINT", mount_point_, "The mount, or any path in it")->required();
    app.add_option("-n,--count", count_, "End after so many seconds; 0 is never")
        ->default_val(0)
        ->check(&WhyNegative);
    app.add_flag("--json", json_, "Print what the admin port answers, an object a line");
    app.footer("Interrupt it (Ctrl-C) to end. Prints lines when it does not write to a terminal.");
  }

  int Run() override {
    const Result<int> status = Show();
    if (status) return *status;
    return Complain("shoal top", StatusOf(status.error()), status.error().detail, json_);
  }

 private:
  Result<int> Show() {
    const SystemClock clock;
    ASSIGN_OR_RETURN(const PathInMount found, FindMountOf(mount_point_));
    const bool is_terminal = isatty(STDOUT_FILENO) == 1 && !json_;
    LastingClient client(found.mount_point, "shoal top", is_terminal, clock);
    for (uint64_t i = 0; count_ == 0 || i < count_; ++i) {
      if (i > 0) std::this_thread::sleep_for(std::chrono::seconds(1));
      ASSIGN_OR_RETURN(const Json status, client.GetJson("/v1/status"));
      if (is_terminal) {
        Draw(status, client.GetJson("/v1/warmup/running"));
      } else {
        fmt::print("{}\n", json_ ? status.dump() : TopLine(status));
      }
      RETURN_IF_ERROR(FlushOutput());
    }
    return kExitSuccess;
  }

  static void Draw(const Json& status, const Result<Json>& tasks) {
    winsize size{};
    const bool known =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    const size_t width = known ? size.ws_col : 80;
    const size_t height = known ? size.ws_row : 24;
    const Json none;
    const Json& running = tasks && tasks->contains("TaskInfos") ? tasks->at("TaskInfos") : none;
    std::vector<std::string> lines = TopScreen(status, running, width);
    if (lines.size() + 1 > height) lines.resize(height - 1);
    std::string screen = "\033[H";
    for (const std::string& line : lines) screen += line + "\033[K\n";
    fmt::print("{}\033[J", screen);
  }

  std::string mount_point_;
  uint64_t count_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeTopCommand() {
  return std::make_unique<TopCommand>();
}

}  // namespace shoal
