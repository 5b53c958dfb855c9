// The command line of a mount:
//
//   shoal mount  SOURCE MOUNTPOINT [-o OPTIONS]... [-f]
//   mount.alinas SOURCE MOUNTPOINT [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]
//
// The second is how mount(8) calls its helpers, and there -f is mount(8)'s "fake": check
// everything, mount nothing. With `shoal mount` it is "foreground".
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "cli/manual.h"

namespace shoal {

struct MountArguments {
  std::string source;
  std::string mount_point;
  std::vector<std::string> options;  // of each -o
  std::string subtype;               // shows as fuse.SUBTYPE
  std::string log_level;             // empty: not given
  std::string mount_namespace;       // path of a mount namespace, or empty
  bool foreground = false;
  bool fake = false;
  bool sloppy = false;   // unknown options are warnings
  bool verbose = false;  // say what was mounted
  bool json = false;     // for a program
};

// Which of the two, and how it calls itself.
struct MountCommandName {
  std::string_view text;     // before messages: "shoal mount", "mount.alinas"
  std::string_view subtype;  // unless -t says another: "shoal", "alinas"
  bool is_helper = false;
  std::string_view program = {};  // argv[0] of the process
};

// The exit status instead, after --help (kExitSuccess, help on stdout) or for a command
// line that is none (kExitUsage, the reason on stderr).
tl::expected<MountArguments, int> ParseMountArguments(int argc, const char* const* argv,
                                                      const MountCommandName& name);

// For the manual and the completions; `name` as above.
DescribedCommand DescribeMountCommand(const MountCommandName& name);

}  // namespace shoal
