#include "app/command_list.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <utility>

#include "app/doctor_command.h"
#include "app/manual_command.h"
#include "app/mount_arguments.h"
#include "app/origin_command.h"
#include "app/restart_command.h"
#include "app/umount_command.h"

namespace shoal {

std::vector<std::unique_ptr<Command>> MakeCommands() {
  std::vector<std::unique_ptr<Command>> commands = MakeMountCommands();
  for (auto& command : MakeReplaceCommands()) commands.push_back(std::move(command));
  commands.push_back(MakeDoctorCommand());
  commands.push_back(MakeCompletionCommand());
  commands.push_back(MakeManualCommand());
  commands.push_back(MakeOriginCommand());
  return commands;
}

std::vector<DescribedCommand> DescribeCommands() {
  std::vector<DescribedCommand> described;
  described.push_back(DescribeMountCommand({"shoal mount", "shoal"}));
  described.push_back(DescribeUmountCommand());
  for (const auto& command : MakeCommands()) {
    CLI::App app;
    command->Declare(app);
    described.push_back(Describe(fmt::format("shoal {}", command->name()), app));
  }
  return described;
}

}  // namespace shoal
