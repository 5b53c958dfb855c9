#include "app/restart_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "app/keeper_socket.h"
#include "app/live_change.h"
#include "app/mount_plan.h"
#include "app/mount_point.h"
#include "app/mount_words.h"
#include "app/state_lock.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/option_list.h"
#include "fuse/mount_table.h"

namespace shoal {
namespace {

// What the kernel shows of a FUSE mount beside what mount(8) knows.
constexpr std::array<std::string_view, 5> kKernelNames = {"user_id", "group_id", "max_read",
                                                          "blksize", "rootmode"};

struct Outcome {
  int status = kExitSuccess;
  std::string text;
  std::string mount_point = {};
  // Names of options: those for which the process that serves was replaced, and those for which
  // that is not enough.
  std::vector<std::string> replaced_for = {};
  std::vector<std::string> at_next_mount = {};
  std::vector<std::string> warnings = {};

  // For people, beside the text.
  [[nodiscard]] std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    for (const std::string& name : at_next_mount)
      notes.push_back(name + ": takes effect at the next mount");
    notes.insert(notes.end(), warnings.begin(), warnings.end());
    return notes;
  }
};

Outcome Failed(const Error& error) {
  return {error.code == Errc::kInvalid ? kExitUsage : StatusOf(error), error.detail};
}

struct Target {
  std::string mount_point;
  std::string directory;
};

Result<Target> Find(const std::string& path) {
  if (geteuid() != 0) return Fail(Errc::kDenied, "only root can change a mount");
  ASSIGN_OR_RETURN(std::string mount_point, ResolveMountPoint(path));
  std::string directory = StateDirectory(mount_point);
  if (access((directory + "/state.json").c_str(), F_OK) != 0)
    return Fail(Errc::kNotFound, mount_point + " is not a mount of shoal");
  return Target{std::move(mount_point), std::move(directory)};
}

// How long a worker may take to come up that is served with this.
std::chrono::seconds RecoveryLimitOf(const MountState& state) {
  const auto options = OptionsOf(state);
  return std::chrono::seconds(options ? options->command.recovery_limit_seconds
                                      : CommandOptions().recovery_limit_seconds);
}

Outcome OutcomeOf(const Target& target, const Result<>& asked, std::string_view done) {
  if (asked)
    return {kExitSuccess, fmt::format("{} {}", target.mount_point, done), target.mount_point};
  if (asked.error().code == Errc::kNotFound)
    return {kExitFailure,
            target.mount_point + ": nobody keeps this mount any more; unmount it and mount again"};
  return {kExitFailure, target.mount_point + ": " + asked.error().detail};
}

// The keeper's words for it (keeper_socket.h).
struct Words {
  std::string_view change;
  std::string_view replace;
};
constexpr Words kUpdate{"change", "replace"};
constexpr Words kRollback{"change-back", "replace-back"};

// To a state that was checked.
Outcome ReplaceBy(const Target& target, const MountState& now, const MountState& next,
                  const Words& words, std::string_view done) {
  const auto before = OptionsOf(now);
  const auto after = OptionsOf(next);
  const auto ask = [&](std::string_view word) {
    return AskKeeper(target.directory, word, ToJson(next), RecoveryLimitOf(now));
  };
  std::vector<std::string> replaced_for;
  if (before && after) replaced_for = OptionsThatTakeAnotherWorker(*before, *after);
  Result<> asked = Fail(Errc::kUnsupported, "");
  if (before && after && CanChangeLive(*before, *after)) asked = ask(words.change);
  // The process may have less in force than the state says.
  if (!asked && asked.error().code == Errc::kUnsupported) asked = ask(words.replace);
  Outcome outcome = OutcomeOf(target, asked, done);
  if (!asked) return outcome;
  outcome.replaced_for = std::move(replaced_for);
  outcome.at_next_mount = OptionsOfTheNextMount(now, next);
  return outcome;
}

Outcome Restart(const std::string& path) {
  const auto target = Find(path);
  if (!target) return Failed(target.error());
  const auto lock = StateLock::Take(target->directory);
  if (!lock) return Failed(lock.error());
  const auto state = ReadMountState(target->directory + "/state.json");
  if (!state) return {kExitFailure, state.error().detail};
  return OutcomeOf(*target, AskKeeper(target->directory, "restart", "", RecoveryLimitOf(*state)),
                   "is served by a new process");
}

enum class Others : uint8_t { kStay, kDefault };

// `others` are the options that are not among these.
Outcome Update(const std::string& path, const std::vector<std::string>& options,
               Others others = Others::kStay, bool only_check = false) {
  const auto target = Find(path);
  if (!target) return Failed(target.error());
  const auto lock = StateLock::Take(target->directory);
  if (!lock) return Failed(lock.error());
  const auto state = ReadMountState(target->directory + "/state.json");
  if (!state) return {kExitFailure, state.error().detail};
  MountState from = *state;
  if (others == Others::kDefault) from.options.clear();
  const auto next = WithOptions(std::move(from), options);
  if (!next) return Failed(next.error());
  const auto before = OptionsOf(*state);
  const auto after = OptionsOf(*next);
  if (!after) return Failed(after.error());
  // What changes nothing leaves a rollback what it had.
  if (before && AreTheSame(*before, *after))
    return {kExitSuccess, target->mount_point + " has these options already", target->mount_point};
  if (const auto checked = CheckMountState(*next); !checked) return Failed(checked.error());
  if (only_check) return {};
  Outcome outcome = ReplaceBy(*target, *state, *next, kUpdate, "is served with the new options");
  for (const Notice& notice : after->notices)
    if (notice.is_warning && outcome.status == kExitSuccess)
      outcome.warnings.push_back(notice.text);
  return outcome;
}

Outcome Rollback(const std::string& path) {
  const auto target = Find(path);
  if (!target) return Failed(target.error());
  const auto lock = StateLock::Take(target->directory);
  if (!lock) return Failed(lock.error());
  const auto state = ReadMountState(target->directory + "/state.json");
  const auto previous = ReadMountState(target->directory + "/state.previous.json");
  if (!previous && previous.error().code == Errc::kNotFound)
    return {kExitFailure, target->mount_point + ": there is no update to take back"};
  if (!previous || !state)
    return {kExitFailure, previous ? state.error().detail : previous.error().detail};
  if (previous->source != state->source)
    return {kExitFailure, target->mount_point + ": the state before is that of a mount of " +
                              log::Printable(previous->source)};
  return ReplaceBy(*target, *state, *previous, kRollback,
                   "is served with the options before the last update");
}

void SayAsJson(const Outcome& outcome) {
  fmt::print("{}", ServedAsJson({.mount_point = outcome.mount_point,
                                 .replaced_for = outcome.replaced_for,
                                 .at_next_mount = outcome.at_next_mount,
                                 .warnings = outcome.warnings}));
}

// What the three have in common.
class ReplaceCommand : public Command {
 public:
  void Declare(CLI::App& app) override {
    app.add_option("MOUNTPOINT", mount_point_, "Where it is mounted")->required();
    app.add_flag("--json", json_,
                 "Print the process that serves now, the options that took another one, and what "
                 "takes effect at the next mount");
  }

 protected:
  int Report(const Outcome& outcome) const {
    const std::string called = fmt::format("shoal {}", name());
    if (outcome.status != kExitSuccess)
      return Complain(called, outcome.status, outcome.text, json_);
    if (json_) {
      SayAsJson(outcome);
    } else {
      fmt::print("{}: {}\n", called, outcome.text);
      if (!outcome.replaced_for.empty())
        fmt::print("{}: took another process to serve it\n", fmt::join(outcome.replaced_for, ", "));
      for (const std::string& note : outcome.notes()) fmt::print("{}\n", note);
    }
    return kExitSuccess;
  }

  std::string mount_point_;
  bool json_ = false;
};

class RestartCommand final : public ReplaceCommand {
 public:
  [[nodiscard]] std::string_view name() const override { return "restart"; }
  void Declare(CLI::App& app) override {
    app.description(
        "Replaces the process that serves a mount. Programs that use it notice nothing.");
    ReplaceCommand::Declare(app);
  }
  int Run() override { return Report(Restart(mount_point_)); }
};

class UpdateCommand final : public ReplaceCommand {
 public:
  [[nodiscard]] std::string_view name() const override { return "update"; }
  void Declare(CLI::App& app) override {
    app.description(
        "Changes options of a mount. Programs that use it notice nothing. Sizes of caches and "
        "the room they leave, memory for reads, the limit of traffic, credentials, limits of the "
        "directory cache, entry_timeout, recovery_limit and the log level change as it is; for "
        "others the process that serves it is replaced.");
    ReplaceCommand::Declare(app);
    app.add_option("-o", options_, "Options, with commas between them; may be repeated")
        ->required()
        ->allow_extra_args(false);
    app.add_flag("--only", only_, "Options that are not given go back to their defaults");
  }
  int Run() override {
    return Report(Update(mount_point_, options_, only_ ? Others::kDefault : Others::kStay));
  }

 private:
  std::vector<std::string> options_;
  bool only_ = false;
};

class RollbackCommand final : public ReplaceCommand {
 public:
  [[nodiscard]] std::string_view name() const override { return "rollback"; }
  void Declare(CLI::App& app) override {
    app.description("Gives a mount back the options it had before the last update.");
    ReplaceCommand::Declare(app);
  }
  int Run() override { return Report(Rollback(mount_point_)); }
};

}  // namespace

std::string ServedAsJson(const Served& served) {
  const auto state = ReadMountState(StateDirectory(served.mount_point) + "/state.json");
  const nlohmann::ordered_json json = {{"MountPoint", served.mount_point},
                                       {"WorkerPid", state ? state->worker_pid : 0},
                                       {"ReplacedFor", served.replaced_for},
                                       {"AtNextMount", served.at_next_mount},
                                       {"Warnings", served.warnings}};
  return json.dump(2, ' ', /*ensure_ascii=*/false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

Result<> UpdateLive(const std::string& mount_point, const std::vector<ListedOption>& options) {
  const std::string directory = StateDirectory(mount_point);
  // Not waited for: who has it may wait for this process.
  ASSIGN_OR_RETURN(const StateLock lock, StateLock::Take(directory, Duration::zero()));
  ASSIGN_OR_RETURN(const MountState now, ReadMountState(directory + "/state.json"));
  if (now.keeper_pid != getppid())
    return Fail(Errc::kUnsupported, "another mount has the path " + mount_point + " by now");
  ASSIGN_OR_RETURN(const MountState next, WithOptions(now, {JoinOptionList(options)}));
  RETURN_IF_ERROR(CheckMountState(next));
  ASSIGN_OR_RETURN(const MountOptions from, OptionsOf(now));
  ASSIGN_OR_RETURN(const MountOptions to, OptionsOf(next));
  if (AreTheSame(from, to)) return {};  // as `shoal update` does: a rollback keeps what it had
  if (const auto others = OptionsThatTakeAnotherWorker(from, to); !others.empty())
    return Fail(Errc::kUnsupported, fmt::format("{}: by shoal update, which replaces the process",
                                                fmt::join(others, ", ")));
  return AskKeeper(directory, "change", ToJson(next), RecoveryLimitOf(now));
}

Result<MountState> WithOptions(MountState state, const std::vector<std::string>& options) {
  // By themselves first, so that what is wrong is in what was typed now.
  RETURN_IF_ERROR(ParseMountOptions(options, /*sloppy=*/false));
  std::set<std::string> names;
  for (const std::string& argument : options) {
    ASSIGN_OR_RETURN(const auto list, SplitOptionList(argument));
    for (const ListedOption& option : list) names.insert(option.name);
  }
  if (names.contains("log_level")) state.log_level.clear();
  std::vector<std::string> kept;
  for (const std::string& argument : state.options) {
    ASSIGN_OR_RETURN(auto list, SplitOptionList(argument));
    std::erase_if(list, [&](const ListedOption& option) { return names.contains(option.name); });
    if (!list.empty()) kept.push_back(JoinOptionList(list));
  }
  kept.insert(kept.end(), options.begin(), options.end());
  state.options = std::move(kept);
  RETURN_IF_ERROR(OptionsOf(state));
  return state;
}

std::vector<std::string> OptionsOfTheNextMount(const MountState& from, const MountState& to) {
  const auto before = OptionsOf(from);
  const auto after = OptionsOf(to);
  std::vector<std::string> names;
  if (!before || !after) return names;
  const SessionOptions& old_session = before->session;
  const SessionOptions& new_session = after->session;
  if (old_session.transport != new_session.transport) names.emplace_back("transport");
  if (old_session.open_requests != new_session.open_requests) names.emplace_back("open_requests");
  // Off is in force at once.
  if (old_session.passthrough == "off" && new_session.passthrough != "off")
    names.emplace_back("passthrough");
  if (before->mount_flags != after->mount_flags) names.emplace_back("exec, atime and their like");
  return names;
}

bool IsRemount(const std::vector<std::string>& options) {
  return std::ranges::any_of(options, [](const std::string& argument) {
    const auto list = SplitOptionList(argument);
    return list && std::ranges::count(*list, "remount", &ListedOption::name) > 0;
  });
}

int RunRemount(std::string_view name, const std::string& mount_point,
               const std::vector<std::string>& options, RemountManner manner) {
  const auto complain = [&](const Outcome& outcome) {
    return Complain(name, outcome.status, outcome.text, manner.as_json);
  };
  const auto resolved = ResolveMountPoint(mount_point);
  const auto mounts = resolved ? MountsAt(*resolved) : tl::unexpected(resolved.error());
  const std::string shown = mounts && !mounts->empty() ? mounts->back().words : "";
  std::vector<std::string> typed;
  std::vector<std::string> words;
  for (const std::string& argument : options) {
    auto list = SplitOptionList(argument);
    if (!list) return complain(Failed(list.error()));
    std::erase_if(*list, [&](const ListedOption& option) {
      const bool is_word = std::ranges::count(MountWords(), option.name, &MountWord::name) > 0;
      if (is_word) words.push_back(option.name);
      return is_word || option.name == "remount" || IsForOthers(option.name) ||
             std::ranges::count(kKernelNames, option.name) > 0;
    });
    if (!list->empty()) typed.push_back(JoinOptionList(*list));
  }
  for (const std::string& word : WordsNotInForce(words, shown)) typed.push_back(word);
  const Outcome outcome = Update(mount_point, typed, Others::kStay, manner.fake);
  if (outcome.status != kExitSuccess) return complain(outcome);
  if (manner.as_json) {
    SayAsJson(outcome);
    return kExitSuccess;
  }
  // mount(8) says nothing where all is well.
  for (const std::string& note : outcome.notes()) fmt::print(stderr, "{}: {}\n", name, note);
  return kExitSuccess;
}

std::vector<std::unique_ptr<Command>> MakeReplaceCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(std::make_unique<RestartCommand>());
  commands.push_back(std::make_unique<UpdateCommand>());
  commands.push_back(std::make_unique<RollbackCommand>());
  return commands;
}

}  // namespace shoal
