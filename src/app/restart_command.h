// `shoal restart`, `update` and `rollback`, and `mount -o remount`: the mount stays, and the
// process that serves it is replaced, with the options it had or with others.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/mount_state.h"
#include "base/option_list.h"
#include "base/result.h"
#include "cli/command.h"

namespace shoal {

std::vector<std::unique_ptr<Command>> MakeReplaceCommands();

// Whether -o asks to change a mount that is there.
bool IsRemount(const std::vector<std::string>& options);
struct RemountManner {
  bool fake = false;     // only checks
  bool as_json = false;  // as update --json
};

// As update, for mount(8), which adds what the kernel shows of the mount to what was typed.
int RunRemount(std::string_view name, const std::string& mount_point,
               const std::vector<std::string>& options, RemountManner manner);

struct Served {
  std::string mount_point;
  // Names of options: those that took another process, and those of the next mount.
  std::vector<std::string> replaced_for;
  std::vector<std::string> at_next_mount;
  std::vector<std::string> warnings;
};
// What --json prints of a mount that is served, with the process that does.
std::string ServedAsJson(const Served& served);

// As update, of a mount that the caller serves, and only what can change in its process as it is.
// kInvalid: an option is wrong; kUnsupported: one takes another process, which the detail names;
// kBusy: somebody else changes the mount now; kUnsupported, too: its path is another mount's by
// now; others are AskKeeper's. Waits for the keeper, which
// waits for the caller.
Result<> UpdateLive(const std::string& mount_point, const std::vector<ListedOption>& options);

// The state with these options behind those it has, which lose what is said again. Pure.
// kInvalid: an option is wrong, and then nothing of it may be used.
Result<MountState> WithOptions(MountState state, const std::vector<std::string>& options);

// Names of options that differ and that the kernel was told when it was mounted. Pure.
std::vector<std::string> OptionsOfTheNextMount(const MountState& from, const MountState& to);

}  // namespace shoal
