// What a mount is, as its files in /run/shoal say: enough to start a process that serves it.
//
//   /run/shoal/ESCAPED-MOUNT-POINT/state.json           as it is served
//                                 /state.previous.json  before the last update
//                                 /state.next.json      while an update is under way
//                                 /keeper.sock          where to ask (keeper_socket.h)
//                                 /admin.json, .lock    control/runtime_directory.h
//
//                                 /state.KEEPER.json    as state.json, of a mount that is not there
//                                                       yet, or whose path another one has by now
//
// All are root's alone (mode 600, directories 700).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/runtime_directory.h"

namespace shoal {

struct MountState {
  std::string source;                // as typed, for findmnt
  std::string subtype;               // fuse.SUBTYPE
  std::string mount_point;           // absolute, symlinks resolved
  std::vector<std::string> options;  // of each -o, as typed
  std::string log_level;             // of --log-level; empty: not given
  bool sloppy = false;
  bool foreground = false;  // log to stderr
  std::string binary;       // what serves it
  // Of the process that serves it, which fills them in; otherwise empty and 0.
  std::string version;
  int64_t keeper_pid = 0;
  int64_t worker_pid = 0;
  std::string warning{};  // for whoever mounted

  friend bool operator==(const MountState&, const MountState&) = default;
};

// JSON. What is not a state is kInvalid.
std::string ToJson(const MountState& state);
Result<MountState> ParseMountState(std::string_view json);

// Whether it is the same when it is read again. kInvalid, for people: JSON takes UTF-8 only, and
// paths and options may have any bytes.
Result<> CheckMountState(const MountState& state);

// state.KEEPER.json.
std::string OwnStatePath(const std::string& directory, int64_t keeper_pid);

// As ReplaceFile.
Result<> WriteMountState(const std::string& path, const MountState& state);
// kNotFound: there is none.
Result<MountState> ReadMountState(const std::string& path);

}  // namespace shoal
