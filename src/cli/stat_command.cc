#include "cli/stat_command.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

#include "base/exit_status.h"
#include "base/log.h"
#include "cli/humane.h"

namespace shoal {
namespace {

class StatCommand final : public Command {
 public:
  [[nodiscard]] std::string_view name() const override { return "stat"; }

  void Declare(CLI::App& app) override {
    app.description(
        "Says how much of a file or directory is cached, which version of it the bucket has now, "
        "and by which id the store knows the last request for it.");
    app.add_option("PATH", path_, "A path in a mount; it may be missing from the bucket")
        ->required();
    app.add_flag("--json", json_, "Print what the admin port answers");
  }

  int Run() override {
    const Result<int> status = Show();
    if (status) return *status;
    return Complain("shoal stat", StatusOf(status.error()), status.error().detail, json_);
  }

 private:
  Result<int> Show() {
    const SystemClock clock;
    ASSIGN_OR_RETURN(const PathInMount found, FindMountOf(path_));
    ASSIGN_OR_RETURN(AdminClient client, AdminClient::Open(found.mount_point, clock));
    ASSIGN_OR_RETURN(const Json answer,
                     client.GetJson("/v1/stat", {{"target_path", found.relative}}));
    if (json_) {
      fmt::print("{}\n", answer.dump(2));
      return kExitSuccess;
    }
    const double total = answer.at("TotalSize");
    const double cached = answer.at("CachedSize");
    const bool is_directory = answer.at("IsDir");
    const auto print = [](std::string_view name, const std::string& value) {
      fmt::print("{:>14}  {}\n", name, log::Printable(value));
    };
    print("path", found.mount_point + "/" + found.relative);
    print("size", fmt::format("{} ({:.0f} bytes)", HumaneBytes(total), total));
    if (is_directory)
      print("objects", fmt::format("{}, {} of them whole in the cache",
                                   answer.at("ObjectCount").get<uint64_t>(),
                                   answer.at("CachedObjectCount").get<uint64_t>()));
    print("cached",
          fmt::format("{} ({:.0f}%)", HumaneBytes(cached), total > 0 ? 100 * cached / total : 0));
    if (!is_directory) {
      print("key", answer.at("Key"));
      print("ETag", answer.at("ETag"));
      print("storage class", answer.at("StorageClass"));
      print("served", answer.at("Served"));
      print("last request", DescribeLastRequest(answer.value("LastRequest", Json())));
    }
    return kExitSuccess;
  }

  std::string path_;
  bool json_ = false;
};

}  // namespace

std::string DescribeLastRequest(const Json& last_request) {
  if (last_request.is_null()) return "none that is remembered";
  const std::string id = last_request.at("Id");
  const std::string failure = last_request.at("Failure");
  const int status = last_request.at("Status");
  const int64_t ended_unix_micros = last_request.at("EndTime");
  return fmt::format("{}, {} at {:%Y-%m-%d %H:%M:%S} UTC: {}", id.empty() ? "without an id" : id,
                     last_request.at("Operation").get<std::string>(),
                     fmt::gmtime(static_cast<std::time_t>(ended_unix_micros / 1'000'000)),
                     failure.empty() ? fmt::format("HTTP {}", status) : failure);
}

std::unique_ptr<Command> MakeStatCommand() {
  return std::make_unique<StatCommand>();
}

}  // namespace shoal
