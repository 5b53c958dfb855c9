// Which options change while a worker serves, and how.
#pragma once

#include <string>
#include <vector>

#include "app/assemble.h"
#include "app/mount_options.h"
#include "base/result.h"

namespace shoal {

// Names of the options whose values differ. Pure.
std::vector<std::string> ChangedOptions(const MountOptions& from, const MountOptions& to);

// Whether a node made with `from` can be changed to `to` as it is; otherwise it takes a new
// one. Pure. So for the sizes of caches that are there and stay, the limits of the directory
// cache, and the log level.
bool CanChangeLive(const MountOptions& from, const MountOptions& to);

// REQUIRES: CanChangeLive(what `node` was made with, to). After an error everything is as
// it was, but for what a cache that shrank let go.
// Safe while others use the node.
Result<> ChangeLive(Node& node, const MountOptions& to);

}  // namespace shoal
