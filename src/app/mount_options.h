// What -o says, read into the option structs of every room. Pure.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "app/later_options.h"
#include "base/option.h"
#include "base/result.h"
#include "cache/options.h"
#include "control/options.h"
#include "control/warmup_options.h"
#include "fs/object_file_system.h"
#include "fuse/session.h"
#include "origin/options.h"
#include "read/read_engine.h"

namespace shoal {

struct CommandOptions {
  std::string endpoint;
  std::string log_level = "info";
  bool try_bind = true;
  uint64_t recovery_limit_seconds = 60;
  std::string state_directory = "/var/lib/shoal";
};

inline constexpr auto kCommandOptions = std::tuple{
    Option{"endpoint", &CommandOptions::endpoint, Unit::kNone,
           "https://HOST[:PORT] or http://HOST[:PORT], when SOURCE is BUCKET:/PREFIX"},
    Option{"log_level", &CommandOptions::log_level, Unit::kNone,
           "Least serious events to log: trace, debug, info, warning or error"},
    Option{"trybind", &CommandOptions::try_bind, Unit::kNone,
           "Accepted, yes or no, and without effect: the mount point is mounted on itself"},
    Option{"recovery_limit", &CommandOptions::recovery_limit_seconds, Unit::kSeconds,
           "How long programs wait, when the process that serves them died, for one to come back; "
           "then they get errors"},
    Option{"state_directory", &CommandOptions::state_directory, Unit::kPath,
           "Where what outlives the mount is kept: warm-up tasks"},
};

// For the log, once there is one.
struct Notice {
  bool is_warning = false;
  std::string text;

  friend bool operator==(const Notice&, const Notice&) = default;
};

struct MountOptions {
  CommandOptions command;
  OriginOptions origin;
  CacheOptions cache;
  ReadOptions read;
  FileSystemOptions file_system;
  SessionOptions session;
  AdminOptions admin;
  WarmupOptions warmup;
  LaterOptions later;
  unsigned long mount_flags = 0;  // MS_* of mount(2)
  std::vector<Notice> notices;
};

// Calls visit(title, member of MountOptions, declarations) for each room, in the order of
// the reference. The only list of the rooms' options.
template <class Visitor>
void ForEachOptionGroup(Visitor&& visit) {
  visit("Where and how", &MountOptions::command, kCommandOptions);
  visit("Bucket", &MountOptions::origin, kOriginOptions);
  visit("Cache", &MountOptions::cache, kCacheOptions);
  visit("Reading", &MountOptions::read, kReadOptions);
  visit("Names", &MountOptions::file_system, kFileSystemOptions);
  visit("Kernel", &MountOptions::session, kSessionOptions);
  visit("Management", &MountOptions::admin, kAdminOptions);
  visit("Warm-up", &MountOptions::warmup, kWarmupOptions);
  visit("Not in this build", &MountOptions::later, kLaterOptions);
}

// `arguments` are those of each -o, in order; of several values for one option the last
// counts. What follows from an option in more than one room (deadlines, the number of
// fetches) is filled in everywhere. `sloppy` (mount -s) makes an unknown option a warning.
//
// kInvalid, naming the option, for one that is unknown (and then the nearest that is
// not), lacks its value or has a wrong one. No value of a path is ever repeated: it may
// be a secret typed in the wrong place.
Result<MountOptions> ParseMountOptions(const std::vector<std::string>& arguments, bool sloppy);

}  // namespace shoal
