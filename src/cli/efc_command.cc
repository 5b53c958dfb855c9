#include "cli/efc_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/exit_status.h"
#include "base/log.h"
#include "cli/admin_client.h"

namespace shoal {
namespace {

class EfcCommand final : public Command {
 public:
  [[nodiscard]] std::string_view name() const override { return "aliyun-alinas-efc-cli"; }

  void Declare(CLI::App& app) override {
    app.description("Manages the cache of a mount.");
    app.add_option("-m", mount_point_, "Mount point")->required();
    app.add_option("-r", operation_,
                   "What to do: warmup/load, warmup/stat, warmup/cancel, tier (print the counters "
                   "of the cache) or action (what -k says)")
        ->required()
        ->check(CLI::IsMember({"warmup/load", "warmup/stat", "warmup/cancel", "tier", "action"}));
    path_option_ = app.add_option("--path", path_,
                                  "Paths below the mount point, with commas between them; \"\" "
                                  "is the root (warmup)");
    app.add_option("--pattern", pattern_, "Regular expression for the names of files (warmup)");
    app.add_option("--preceding_time", preceding_seconds_,
                   "Tasks of the last so many seconds (warmup/stat) [86400]")
        ->check([](const std::string& text) {
          const bool is_number =
              !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
          return is_number ? std::string()
                           : "'" + log::Printable(text) + "' is no number of seconds";
        });
    app.add_flag("-c", clear_, "Set the counters to zero (tier)");
    app.add_option("-k", action_, "clear_readdir_cache or clear_metadata_cache (action)")
        ->check(CLI::IsMember({"clear_readdir_cache", "clear_metadata_cache"}));
    app.add_flag("--json", json_, "Print what the admin port answers");
  }

  int Run() override {
    const Result<int> status = Ask();
    if (status) return *status;
    const bool is_usage = status.error().code == Errc::kInvalid && !asked_;
    return Complain(name(), is_usage ? kExitUsage : StatusOf(status.error()), status.error().detail,
                    json_);
  }

 private:
  Result<int> Ask() {
    RETURN_IF_ERROR(RefuseWhatIsNotUsed());
    std::string target = "/v1/" + operation_;
    AdminClient::Parameters parameters;
    if (operation_.starts_with("warmup/")) {
      if (path_option_->count() == 0)
        return Fail(Errc::kInvalid, "-r " + operation_ + " needs --path; \"\" is the root");
      parameters.emplace_back("target_path", path_);
      if (!pattern_.empty()) parameters.emplace_back("pattern", pattern_);
      if (!preceding_seconds_.empty())
        parameters.emplace_back("preceding_time", preceding_seconds_);
    } else if (operation_ == "action") {
      if (action_.empty())
        return Fail(Errc::kInvalid,
                    "-r action needs -k clear_readdir_cache or -k clear_metadata_cache");
      target += "/" + action_;
    } else if (clear_) {
      target += "/clear";
    }
    const SystemClock clock;
    ASSIGN_OR_RETURN(const PathInMount found, FindMountOf(mount_point_));
    ASSIGN_OR_RETURN(AdminClient client, AdminClient::Open(found.mount_point, clock));
    asked_ = true;
    ASSIGN_OR_RETURN(const Json answer, client.GetJson(target, parameters));
    return Print(answer);
  }

  // An option of another operation is a mistake: -r tier -k clear_readdir_cache clears nothing.
  [[nodiscard]] Result<> RefuseWhatIsNotUsed() const {
    const bool is_warmup = operation_.starts_with("warmup/");
    const auto refuse = [&](const char* option, bool is_given, bool is_used) -> Result<> {
      if (!is_given || is_used) return {};
      return Fail(Errc::kInvalid, fmt::format("{} is not used with -r {}", option, operation_));
    };
    RETURN_IF_ERROR(refuse("--path", path_option_->count() > 0, is_warmup));
    RETURN_IF_ERROR(refuse("--pattern", !pattern_.empty(), is_warmup));
    RETURN_IF_ERROR(
        refuse("--preceding_time", !preceding_seconds_.empty(), operation_ == "warmup/stat"));
    RETURN_IF_ERROR(refuse("-c", clear_, operation_ == "tier"));
    return refuse("-k", !action_.empty(), operation_ == "action");
  }

  [[nodiscard]] int Print(const Json& answer) const {
    bool well = answer.value("ErrorCode", 0) == 0;
    const bool is_warmup = operation_.starts_with("warmup/");
    if (json_ || is_warmup) {
      fmt::print("{}\n", answer.dump(2));
    } else if (operation_ == "tier" && !clear_) {
      for (const auto& [name, value] : answer.items())
        if (name.starts_with("tier_")) fmt::print("{}: {}\n", name, value.get<uint64_t>());
    } else {
      fmt::print("{}\n", answer.at("ErrorMessage").get<std::string>());
    }
    if (is_warmup)
      for (const Json& result : answer.at("Results")) well = well && result.at("ErrorCode") == 0;
    return well ? kExitSuccess : kExitFailure;
  }

  std::string mount_point_;
  std::string operation_;
  CLI::Option* path_option_ = nullptr;
  std::string path_;
  std::string pattern_;
  std::string preceding_seconds_;
  std::string action_;
  bool clear_ = false;
  bool json_ = false;
  bool asked_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeEfcCommand() {
  return std::make_unique<EfcCommand>();
}

}  // namespace shoal
