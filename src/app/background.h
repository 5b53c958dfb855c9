// A daemon, and how the command that starts it learns whether it came up.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"

namespace shoal {

// The daemon's word on whether it serves.
struct Verdict {
  int exit_status = 0;
  std::string reason;  // for people; empty on success

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// Gives the verdict to whoever waits for it; once, from any thread. False: nobody waits
// any more, so nobody knows of the daemon and it should end.
using ReportVerdict = std::function<bool(const Verdict&)>;

// Runs `serve` in a child with a session of its own, "/" as its directory, no terminal
// and no descriptors of ours, and waits for its verdict; the child goes on. In the child
// this does not return: the process exits with what `serve` returned.
//
// A child that ends without a verdict is kExitFailure, with how it ended; one that gives
// none within `wait` too, and it is sent SIGTERM; if there can be no child, kExitSystem.
// REQUIRES: this process has one thread.
Verdict RunInBackground(const std::function<int(const ReportVerdict&)>& serve, Duration wait,
                        const Clock& clock);

}  // namespace shoal
