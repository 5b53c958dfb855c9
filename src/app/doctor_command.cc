#include "app/doctor_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "app/doctor_checks.h"
#include "app/keeper_socket.h"
#include "app/mount_plan.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "cli/admin_client.h"
#include "control/runtime_directory.h"
#include "fuse/mount_table.h"

namespace shoal {
namespace {

using Severity = Finding::Severity;

constexpr std::string_view kWords[] = {"ok", "note", "BAD"};

// What the process that serves says of itself.
std::vector<Finding> AskMount(const std::string& mount_point, const std::string& subject,
                              bool has_port, const Clock& clock) {
  auto client = AdminClient::Open(mount_point, clock);
  if (!client && has_port)
    return {{Severity::kBad, subject, client.error().detail,
             "a port that could not be opened is tried again and again; the log says why: "
             "journalctl -t shoal"}};
  if (!client) return {{Severity::kNote, subject, client.error().detail, "it cannot be asked"}};
  const Result<Json> status = client->GetJson("/v1/status");
  if (!status)
    return {
        {Severity::kBad, subject, status.error().detail, "the log says more: journalctl -t shoal"}};
  std::vector<Finding> findings;
  const bool ready = status->value("ready", false);
  findings.push_back({ready ? Severity::kGood : Severity::kBad, subject,
                      ready ? "is ready" : status->value("reason", ""),
                      ready ? "" : "the store does not answer it as it should"});
  const Json workers = status->value("workers_before", Json::object());
  if (const auto deaths = workers.value("death_count", uint64_t{0}); deaths > 0)
    findings.push_back({Severity::kNote, subject,
                        fmt::format("processes that served it died: {}", deaths),
                        "the log says how they ended: journalctl -t shoal"});
  for (const Json& tier : status->value("tiers", Json::array()))
    if (!tier.value("working", true))
      findings.push_back({Severity::kBad, "cache " + tier.value("path", ""),
                          tier.value("reason", ""),
                          "look at the disk; the mount comes back to "
                          "it by itself"});
  for (const Json& error : status->value("errors", Json::array()))
    findings.push_back({Severity::kNote, "log", error.value("reason", ""), ""});
  return findings;
}

std::vector<Finding> CheckLiveMount(const std::string& mount_point, const Clock& clock) {
  const std::string subject = "mount " + log::Printable(mount_point);
  const std::string directory = StateDirectory(mount_point);
  if (!IsKept(directory)) {
    const auto mounts = MountsAt(mount_point);
    const std::string type = mounts && !mounts->empty() ? mounts->back().type : "";
    const bool is_ours =
        IsTypeOfOurs(type) || access((directory + "/state.json").c_str(), F_OK) == 0;
    return {is_ours ? Finding{Severity::kBad, subject, "nobody keeps this mount any more",
                              "unmount it and mount again"}
                    : Finding{Severity::kBad, subject, "is not a mount of shoal", ""}};
  }
  const auto state = ReadMountState(directory + "/state.json");
  const auto options = state ? OptionsOf(*state) : tl::unexpected(state.error());
  const bool has_port = options && options->admin.port != 0;
  std::vector<Finding> findings = AskMount(mount_point, subject, has_port, clock);
  if (!options) {
    findings.push_back({Severity::kNote, subject, options.error().detail,
                        "its store and directories were not looked at"});
    return findings;
  }
  std::ranges::move(CheckSurroundings(*options, clock), std::back_inserter(findings));
  return findings;
}

class DoctorCommand final : public Command {
 public:
  [[nodiscard]] std::string_view name() const override { return "doctor"; }

  void Declare(CLI::App& app) override {
    app.description(
        "Checks this machine and, if they are given, a mount that is there, or the SOURCE and "
        "options of one that is to be: kernel, limits, rights, memory, clock, credentials, "
        "endpoint, bucket, the directories of the cache and of state. Changes nothing.");
    app.add_option("WHAT", what_, "MOUNTPOINT of a mount, or SOURCE as for shoal mount");
    app.add_option("-o", options_, "Options as for shoal mount; may be repeated")
        ->allow_extra_args(false);
    app.add_flag("--json", json_, "Print an array of findings");
    app.footer("Exits with 32 when something is BAD.");
  }

  int Run() override {
    // Every SOURCE has it.
    const bool is_source = what_.find(":/") != std::string::npos;
    if (!options_.empty() && !is_source)
      return Complain("shoal doctor", kExitUsage,
                      "-o goes with the SOURCE of a mount that is to be; one that is there has its "
                      "own options",
                      json_);
    const SystemClock clock;
    std::vector<Finding> findings = CheckMachine();
    const auto add = [&](std::vector<Finding> more) {
      std::ranges::move(more, std::back_inserter(findings));
    };
    if (!what_.empty() && !is_source) {
      const Result<PathInMount> found = FindMountOf(what_);
      add(found ? CheckLiveMount(found->mount_point, clock)
                : std::vector<Finding>{{Severity::kBad, "mount", found.error().detail,
                                        "a mount point, or a SOURCE, which has :/ in it"}});
    } else if (!what_.empty()) {
      MountState state;
      state.source = what_;
      state.options = options_;
      const Result<MountOptions> options = OptionsOf(state);
      if (!options) return Complain("shoal doctor", kExitUsage, options.error().detail, json_);
      add(CheckMount(*options, clock));
    }
    if (json_)
      PrintJson(findings);
    else
      Print(findings);
    return std::ranges::any_of(findings,
                               [](const Finding& f) { return f.severity == Severity::kBad; })
               ? kExitFailure
               : kExitSuccess;
  }

 private:
  static void Print(const std::vector<Finding>& findings) {
    const bool colours = isatty(STDOUT_FILENO) == 1;
    constexpr std::string_view kColours[] = {"\033[32m", "\033[33m", "\033[31;1m"};
    for (const Finding& finding : findings) {
      const auto index = static_cast<size_t>(finding.severity);
      fmt::print("{}{:<5}{} {}: {}\n", colours ? kColours[index] : "", kWords[index],
                 colours ? "\033[0m" : "", finding.subject, log::Printable(finding.text));
      if (!finding.advice.empty()) fmt::print("        {}\n", finding.advice);
    }
  }

  static void PrintJson(const std::vector<Finding>& findings) {
    constexpr std::string_view kNames[] = {"ok", "note", "bad"};
    Json list = Json::array();
    for (const Finding& finding : findings)
      list.push_back({{"severity", kNames[static_cast<size_t>(finding.severity)]},
                      {"subject", finding.subject},
                      {"text", log::Printable(finding.text)},
                      {"advice", finding.advice}});
    fmt::print("{}\n", list.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace));
  }

  std::string what_;
  std::vector<std::string> options_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeDoctorCommand() {
  return std::make_unique<DoctorCommand>();
}

}  // namespace shoal
