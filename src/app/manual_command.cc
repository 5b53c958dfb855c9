#include "app/manual_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

#include "app/command_list.h"
#include "app/mount_arguments.h"
#include "app/mount_options.h"
#include "app/version.h"
#include "base/exit_status.h"
#include "cli/efc_command.h"
#include "cli/manual.h"

namespace shoal {
namespace {

// `of_mount`: what only mounting ends with.
std::string ExitStatus(std::string_view of_mount) {
  return fmt::format(
      ".SH EXIT STATUS\n"
      ".TP\n.B 0\nSuccess.\n"
      ".TP\n.B 1\nWrong command line, or not root.\n"
      "{}"
      ".TP\n.B 32\nThe mount, or what was asked of it, failed; standard error says why.\n",
      of_mount);
}

constexpr std::string_view kOfHelper =
    ".TP\n.B 2\nThe system refused memory, a process or a descriptor.\n"
    ".TP\n.B 8\nInterrupted before anything was mounted.\n";
constexpr std::string_view kOfShoalMount =
    ".TP\n.B 2\nshoal mount: the system refused memory, a process or a descriptor.\n"
    ".TP\n.B 8\nshoal mount: interrupted before anything was mounted.\n";

std::string Examples(std::string_view lines) {
  return fmt::format(".SH EXAMPLES\n.nf\n{}.fi\n", RoffText(lines));
}

constexpr std::string_view kHelperExamples =
    "mount -t alinas -o efc,protocol=oss,passwd_file=/etc/passwd-oss \\\n"
    "  your-bucket.oss-cn-hangzhou.aliyuncs.com:/ /mnt/oss_data\n"
    "mount -o remount,readahead_kb=256 /mnt/oss_data\n"
    "umount /mnt/oss_data\n"
    "\n"
    "# in /etc/fstab, one line\n"
    "your-bucket.oss-cn-hangzhou.aliyuncs.com:/ /mnt/oss_data alinas\n"
    "  efc,protocol=oss,passwd_file=/etc/passwd-oss,_netdev,nofail 0 0\n"
    "\n"
    "# whether it would mount\n"
    "shoal doctor your-bucket.oss-cn-hangzhou.aliyuncs.com:/ \\\n"
    "  -o efc,protocol=oss,passwd_file=/etc/passwd-oss\n";

constexpr std::string_view kEfcExamples =
    "aliyun-alinas-efc-cli -m /mnt/oss_data -r warmup/load --path model,data\n"
    "aliyun-alinas-efc-cli -m /mnt/oss_data -r warmup/stat --path model\n"
    "aliyun-alinas-efc-cli -m /mnt/oss_data -r tier\n"
    "aliyun-alinas-efc-cli -m /mnt/oss_data -r action -k clear_readdir_cache\n";

std::vector<std::string> MountOptionNames() {
  std::vector<std::string> names;
  ForEachOptionGroup([&](std::string_view, auto, const auto& declarations) {
    ForEachOption(declarations, [&](const auto& option) { names.emplace_back(option.name); });
  });
  return names;
}

std::string MountOptionsAsRoff() {
  std::string out =
      ".SH MOUNT OPTIONS\nGiven with \\fB\\-o\\fR, with commas between them. Each is shown with "
      "its\n"
      "default and, in parentheses, the unit of its value, which is not typed.\n";
  const MountOptions defaults;
  ForEachOptionGroup([&](std::string_view title, auto member, const auto& declarations) {
    out += fmt::format(".SS {}\n", RoffText(title));
    ForEachOption(declarations, [&](const auto& option) {
      const std::string value = Show((defaults.*member).*(option.field));
      const std::string_view unit = option.unit == Unit::kPath ? "" : UnitName(option.unit);
      out += fmt::format(".TP\n\\fB{}\\fR=\\fI{}\\fR{}\n{}.\n", RoffText(option.name),
                         RoffText(value.empty() ? "VALUE" : value),
                         unit.empty() ? "" : fmt::format(" ({})", unit), RoffText(option.doc));
    });
  });
  return out;
}

DescribedCommand DescribeEfcCommand() {
  const std::unique_ptr<Command> command = MakeEfcCommand();
  CLI::App app;
  command->Declare(app);
  return Describe(std::string(command->name()), app);
}

DescribedCommand DescribeMountHelper() {
  return DescribeMountCommand({"mount.alinas", "alinas", /*is_helper=*/true});
}

ManualPage PageOf(std::string_view name) {
  if (name == "mount.alinas")
    return {.name = "mount.alinas",
            .section = 8,
            .title = "mount a bucket, as a helper of mount(8)",
            .commands = {DescribeMountHelper()},
            .more = MountOptionsAsRoff() + Examples(kHelperExamples) + ExitStatus(kOfHelper),
            .see_also = "shoal(1), mount(8), fstab(5)"};
  if (name == "aliyun-alinas-efc-cli")
    return {.name = "aliyun-alinas-efc-cli",
            .section = 1,
            .title = "manage the cache of a mount",
            .commands = {DescribeEfcCommand()},
            .more = Examples(kEfcExamples) + ExitStatus(""),
            .see_also = "shoal(1)"};
  return {.name = "shoal",
          .section = 1,
          .title = "mount buckets of object stores, and manage the mounts",
          .commands = DescribeCommands(),
          .more = ExitStatus(kOfShoalMount),
          .see_also = "mount.alinas(8), aliyun-alinas-efc-cli(1)"};
}

// That of the specification's tool is told by the command that it runs.
DescribedCommand DescribeToolCommand(DescribedCommand command, std::string_view word) {
  command.name = fmt::format("efc_runtime_ops.py {}", word);
  std::erase_if(command.options, [](const DescribedOption& option) {
    return std::ranges::none_of(option.names,
                                [](const auto& name) { return name == "-h" || name == "-o"; });
  });
  return command;
}

std::vector<DescribedCommand> CommandsOfAllPrograms() {
  std::vector<DescribedCommand> commands = DescribeCommands();
  std::vector<DescribedCommand> tool;
  for (const std::string_view word : {"update", "rollback"}) {
    const auto ours =
        std::ranges::find(commands, fmt::format("shoal {}", word), &DescribedCommand::name);
    if (ours != commands.end()) tool.push_back(DescribeToolCommand(*ours, word));
  }
  std::ranges::move(tool, std::back_inserter(commands));
  commands.push_back(DescribeEfcCommand());
  commands.push_back(DescribeMountHelper());
  return commands;
}

class CompletionCommand final : public Command {
 public:
  [[nodiscard]] std::string_view name() const override { return "completion"; }
  void Declare(CLI::App& app) override {
    app.description("Prints a script that completes command lines of shoal and its helpers.");
    app.add_option("SHELL", shell_, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    app.footer("For bash: shoal completion bash > /etc/bash_completion.d/shoal");
  }
  int Run() override {
    const auto make = shell_ == "bash"  ? BashCompletion
                      : shell_ == "zsh" ? ZshCompletion
                                        : FishCompletion;
    fmt::print("{}", make(CommandsOfAllPrograms(), MountOptionNames()));
    return kExitSuccess;
  }

 private:
  std::string shell_;
};

class ManualCommand final : public Command {
 public:
  [[nodiscard]] std::string_view name() const override { return "manual"; }
  void Declare(CLI::App& app) override {
    app.description("Prints a page of the manual, as man(1) reads it.");
    app.add_option("PAGE", page_, "shoal, mount.alinas or aliyun-alinas-efc-cli [shoal]")
        ->check(CLI::IsMember({"shoal", "mount.alinas", "aliyun-alinas-efc-cli"}));
    app.footer("To read it: shoal manual | man -l -");
  }
  int Run() override {
    fmt::print("{}", AsRoff(PageOf(page_), kVersion));
    return kExitSuccess;
  }

 private:
  std::string page_ = "shoal";
};

}  // namespace

std::unique_ptr<Command> MakeCompletionCommand() {
  return std::make_unique<CompletionCommand>();
}

std::unique_ptr<Command> MakeManualCommand() {
  return std::make_unique<ManualCommand>();
}

}  // namespace shoal
