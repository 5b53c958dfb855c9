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

// They have the same effect. Pure.
bool AreTheSame(const MountOptions& a, const MountOptions& b);

// Of what differs, what cannot change while a worker serves: names of options, or of groups of
// them. Pure.
std::vector<std::string> OptionsThatTakeAnotherWorker(const MountOptions& from,
                                                      const MountOptions& to);

// Whether a node with `from` in force can be changed to `to` as it is; otherwise it takes a new
// one. Pure. So for the sizes of caches that are there and stay and the room that they leave,
// memory for reads, connections, the limit of traffic, the paths of credentials, the limits of the
// directory cache, how long the kernel believes names, the time for a recovery, and the log level.
bool CanChangeLive(const MountOptions& from, const MountOptions& to);

// All but the time for a recovery, which is its keeper's, and how many requests warm-up makes at
// once, which is its control room's.
// REQUIRES: CanChangeLive(from, to), and `from` is in force. After an error everything is as it
// was, but for what a cache that shrank let go. Other credentials are tried first, for some
// seconds at most; the error is then OpenCredentials's or ProbeBucket's.
// Safe while others use the node.
Result<> ChangeLive(Node& node, const MountOptions& from, const MountOptions& to,
                    const Clock& clock);

}  // namespace shoal
