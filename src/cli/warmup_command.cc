#include "cli/warmup_command.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <thread>

#include "base/exit_status.h"
#include "base/log.h"
#include "cli/admin_client.h"
#include "cli/humane.h"
#include "cli/lasting_client.h"
#include "cli/warmup_progress.h"

namespace shoal {
namespace {

constexpr Duration kRedrawEvery = std::chrono::milliseconds(500);
constexpr Duration kLogEvery = std::chrono::seconds(5);
constexpr uint64_t kSecondsADay = 86400;

// The root has no name of its own.
std::string Named(const std::string& path) {
  return path.empty() ? "/" : log::Printable(path);
}

// A comma of a name is not one between paths, and a backslash at its end is not one before them.
std::string JoinPaths(const std::vector<std::string>& paths) {
  std::string joined;
  for (const std::string& path : paths) {
    if (&path != &paths.front()) joined += ',';
    for (const char c : path) {
      if (c == ',' || c == '\\') joined += '\\';
      joined += c;
    }
  }
  return joined;
}

// What all three commands are given.
struct Selection {
  std::string mount_point;
  std::vector<std::string> paths;
  std::string pattern;
  bool json = false;

  void Declare(CLI::App& app) {
    app.add_option("PATH", paths,
                   "Files and directories: paths in the mount, or with -m relative to its root, "
                   "where \"\" is the root")
        ->required();
    app.add_option("-m,--mount", mount_point, "Mount point that the paths are relative to");
    app.add_option("--pattern", pattern,
                   "Regular expression (RE2) for the names of files; for their paths below PATH "
                   "if it has a slash");
    app.add_flag("--json", json, "Print what the admin port answers");
  }

  // The mount point, and the paths below its root.
  Result<> Resolve() {
    RETURN_IF_ERROR(FindPaths());
    // In the list that the port takes there is no name for it.
    if (paths.size() > 1 && std::ranges::find(paths, "") != paths.end())
      return Fail(Errc::kInvalid,
                  "the root cannot be in a list with other paths; name it in a command of its own");
    return {};
  }

  [[nodiscard]] AdminClient::Parameters Parameters() const {
    AdminClient::Parameters parameters{{"target_path", JoinPaths(paths)}};
    if (!pattern.empty()) parameters.emplace_back("pattern", pattern);
    return parameters;
  }

 private:
  Result<> FindPaths() {
    if (!mount_point.empty()) {
      ASSIGN_OR_RETURN(const PathInMount found, FindMountOf(mount_point));
      mount_point = found.mount_point;
      return {};
    }
    for (std::string& path : paths) {
      Result<PathInMount> in_mount = FindMountOf(path);
      if (!in_mount)
        return Fail(in_mount.error().code, in_mount.error().detail + "; give -m MOUNTPOINT");
      PathInMount found = *std::move(in_mount);
      if (!mount_point.empty() && mount_point != found.mount_point)
        return Fail(Errc::kInvalid, "the paths are in two mounts: " + mount_point + " and " +
                                        found.mount_point + "; one at a time");
      mount_point = std::move(found.mount_point);
      path = std::move(found.relative);
    }
    return {};
  }
};

// Prints what went wrong for single paths, with `as_lines` also each as JSON. False if anything
// did.
bool PrintRefusals(const Json& answer, bool as_lines = false) {
  bool all_well = true;
  for (const Json& result : answer.at("Results")) {
    if (result.at("ErrorCode") == 0) continue;
    all_well = false;
    fmt::print(stderr, "shoal warmup: {}: {}\n", Named(result.at("Path").get<std::string>()),
               log::Printable(result.at("ErrorMessage").get<std::string>()));
    if (as_lines) fmt::print("{}\n", result.dump());
  }
  return all_well;
}

WarmupMoment MomentOf(const Json& task) {
  return {.path = task.at("Path"),
          .status = task.at("Status"),
          .completed_bytes = task.at("CompletedSize"),
          .total_bytes = task.at("TotalSize"),
          .error_message = task.at("ErrorMessage")};
}

size_t TerminalWidth() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

// Draws the tasks until all have ended; as JSON each is a line, each time.
class Watch {
 public:
  Watch(const Selection& selection, const Clock& clock)
      : selection_(selection),
        clock_(clock),
        client_(selection.mount_point, "shoal warmup", draws_, clock) {}

  Result<int> Run() {
    while (true) {
      ASSIGN_OR_RETURN(const bool all_ended, Update());
      if (draws_)
        Redraw();
      else
        Log(all_ended);
      RETURN_IF_ERROR(FlushOutput());
      if (all_ended) break;
      std::this_thread::sleep_for(kRedrawEvery);
    }
    for (const auto& [path, reason] : missing_) {
      fmt::print(stderr, "shoal warmup: {}: {}\n", Named(path), log::Printable(reason));
      if (selection_.json)
        fmt::print("{}\n",
                   Json{{"ErrorCode", ENOENT}, {"ErrorMessage", reason}, {"Path", path}}.dump());
    }
    const bool well =
        missing_.empty() && !tasks_.empty() && std::ranges::all_of(tasks_, [](const auto& task) {
          return task.second.moment().status == "completed";
        });
    return well ? kExitSuccess : kExitFailure;
  }

 private:
  // Whether all tasks have ended.
  Result<bool> Update() {
    AdminClient::Parameters parameters = selection_.Parameters();
    // However long it takes.
    parameters.emplace_back("preceding_time", std::to_string(std::numeric_limits<uint64_t>::max()));
    ASSIGN_OR_RETURN(const Json answer, client_.GetJson("/v1/warmup/stat", parameters));
    bool all_ended = true;
    missing_.clear();
    for (const Json& result : answer.at("Results")) {
      const std::string path = result.at("Path");
      // The newest is the first.
      const Json& tasks = result.at("TaskInfos");
      const auto ours = std::ranges::find_if(
          tasks, [&](const Json& task) { return task.at("Pattern") == selection_.pattern; });
      if (ours == tasks.end()) {
        missing_[path] = result.at("ErrorCode") == 0 ? "there is no warm-up with this pattern"
                                                     : result.at("ErrorMessage").get<std::string>();
        continue;
      }
      WarmupProgress& progress = tasks_[path];
      progress.Add(MomentOf(*ours), clock_.Now());
      if (selection_.json) answers_[path] = ours->dump();
      all_ended = all_ended && progress.ended();
    }
    return all_ended;
  }

  void Redraw() {
    const size_t width = TerminalWidth() - 1;
    if (drawn_count_ > 0) fmt::print("\033[{}A", drawn_count_);
    for (const auto& [path, progress] : tasks_)
      fmt::print("\r{}\033[K\n", progress.Line(width).substr(0, progress.ended() ? 1000 : width));
    drawn_count_ = tasks_.size();
  }

  void Log(bool all_ended) {
    if (!all_ended && clock_.Now() < next_log_) return;
    next_log_ = clock_.Now() + kLogEvery;
    for (const auto& [path, progress] : tasks_)
      fmt::print("{}\n", selection_.json ? answers_[path] : progress.Line(0));
  }

  const Selection& selection_;
  const Clock& clock_;
  const bool draws_ = isatty(STDOUT_FILENO) == 1 && !selection_.json;
  LastingClient client_;
  std::map<std::string, WarmupProgress> tasks_;
  std::map<std::string, std::string> answers_;  // of the same tasks, as they are told
  std::map<std::string, std::string> missing_;  // paths without a task, and why
  size_t drawn_count_ = 0;
  Instant next_log_{};
};

class WarmupCommand : public Command {
 public:
  int Run() final {
    const Result<int> status = ResolveAndAsk();
    if (status) return *status;
    return Complain("shoal warmup", StatusOf(status.error()), status.error().detail,
                    selection_.json);
  }

 protected:
  virtual Result<int> Ask(AdminClient& client) = 0;

  Selection selection_;
  const SystemClock clock_{};

 private:
  Result<int> ResolveAndAsk() {
    RETURN_IF_ERROR(selection_.Resolve());
    ASSIGN_OR_RETURN(AdminClient client, AdminClient::Open(selection_.mount_point, clock_));
    return Ask(client);
  }
};

class LoadCommand final : public WarmupCommand {
 public:
  [[nodiscard]] std::string_view name() const override { return "warmup load"; }
  void Declare(CLI::App& app) override {
    app.description("Brings files into the cache before they are read.");
    selection_.Declare(app);
    app.add_flag("-w,--watch", watch_,
                 "Show progress until it ends; interrupted, the task goes on");
    app.footer(
        "Exits with 0 when all was accepted (with --watch: completed), with 32 when not. With "
        "--watch --json each line is a task, as warmup stat has it, until it ends, or a path that "
        "was refused, with its ErrorMessage.");
  }

 protected:
  Result<int> Ask(AdminClient& client) override {
    ASSIGN_OR_RETURN(const Json answer, client.GetJson("/v1/warmup/load", selection_.Parameters()));
    if (selection_.json && !watch_) fmt::print("{}\n", answer.dump(2));
    const bool accepted = PrintRefusals(answer, selection_.json && watch_);
    if (watch_) {
      // What was refused is no task, but maybe an earlier one has its name.
      const Json& results = answer.at("Results");
      std::erase_if(selection_.paths, [&](const std::string& path) {
        return std::ranges::any_of(results, [&](const Json& result) {
          return result.at("ErrorCode") != 0 && result.at("Path") == path;
        });
      });
      if (selection_.paths.empty()) return kExitFailure;
      ASSIGN_OR_RETURN(const int status, Watch(selection_, clock_).Run());
      return accepted ? status : kExitFailure;
    }
    if (accepted && !selection_.json)
      fmt::print("warming up in the background; shoal warmup stat says how far it is\n");
    return accepted ? kExitSuccess : kExitFailure;
  }

 private:
  bool watch_ = false;
};

class StatCommand final : public WarmupCommand {
 public:
  [[nodiscard]] std::string_view name() const override { return "warmup stat"; }
  void Declare(CLI::App& app) override {
    app.description("Says how far warm-up tasks are, the newest first.");
    selection_.Declare(app);
    app.add_option("--since", since_seconds_, "Tasks submitted in the last so many seconds")
        ->default_val(kSecondsADay)
        ->check(&WhyNegative);
  }

 protected:
  Result<int> Ask(AdminClient& client) override {
    AdminClient::Parameters parameters = selection_.Parameters();
    parameters.emplace_back("preceding_time", std::to_string(since_seconds_));
    ASSIGN_OR_RETURN(const Json answer, client.GetJson("/v1/warmup/stat", parameters));
    if (selection_.json) fmt::print("{}\n", answer.dump(2));
    const bool well = PrintRefusals(answer);
    if (!selection_.json)
      for (const Json& result : answer.at("Results"))
        if (result.contains("TaskInfos"))
          for (const Json& task : result.at("TaskInfos")) Print(task);
    return well ? kExitSuccess : kExitFailure;
  }

 private:
  static void Print(const Json& task) {
    const std::string path = task.at("Path");
    const std::string pattern = task.at("Pattern");
    const std::string reason = task.at("ErrorMessage");
    fmt::print("{:<10} {:>10} of {:>10}  {}{}{}\n", task.at("Status").get<std::string>(),
               HumaneBytes(task.at("CompletedSize")), HumaneBytes(task.at("TotalSize")),
               Named(path), pattern.empty() ? "" : "  pattern " + log::Printable(pattern),
               reason.empty() ? "" : "  " + log::Printable(reason));
  }

  uint64_t since_seconds_ = kSecondsADay;
};

class CancelCommand final : public WarmupCommand {
 public:
  [[nodiscard]] std::string_view name() const override { return "warmup cancel"; }
  void Declare(CLI::App& app) override {
    app.description("Ends running warm-up tasks; what they fetched stays.");
    selection_.Declare(app);
  }

 protected:
  Result<int> Ask(AdminClient& client) override {
    ASSIGN_OR_RETURN(const Json answer,
                     client.GetJson("/v1/warmup/cancel", selection_.Parameters()));
    if (selection_.json) fmt::print("{}\n", answer.dump(2));
    return PrintRefusals(answer) ? kExitSuccess : kExitFailure;
  }
};

}  // namespace

std::vector<std::unique_ptr<Command>> MakeWarmupCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(std::make_unique<LoadCommand>());
  commands.push_back(std::make_unique<StatCommand>());
  commands.push_back(std::make_unique<CancelCommand>());
  return commands;
}

}  // namespace shoal
