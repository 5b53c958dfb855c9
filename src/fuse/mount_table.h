// What is mounted where, as /proc/self/mountinfo says: reading it asks no file system, so it
// never waits for a mount that hangs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace shoal {

struct MountEntry {
  std::string mount_point;  // decoded
  std::string type;         // with its subtype, e.g. fuse.shoal
  std::string source;       // decoded
  std::string device;       // "MAJOR:MINOR"
  std::string words{};      // of mount(8), for the kernel: "ro,nosuid,nodev,relatime"

  friend bool operator==(const MountEntry&, const MountEntry&) = default;
};

// Whether a mount of that type is one of this program; others of the kernel's FUSE are not. Under
// another name of its helper it has another type.
bool IsTypeOfOurs(std::string_view type);

// The text of a mountinfo; lines that are not of its format are left out. In the order of the
// file: of several at one path, the last is on top.
std::vector<MountEntry> ParseMountInfo(std::string_view text);

// Of this process, at `mount_point` only.
Result<std::vector<MountEntry>> MountsAt(std::string_view mount_point);

}  // namespace shoal
