#pragma once

#include "cli/manual.h"

namespace shoal {

// `shoal origin --root DIR ...`: serves DIR until SIGTERM or SIGINT. `argv[0]` is "origin"
// or whatever --help shall call it. The exit status: 0 after a clean end, 1 when it could
// not start, 2 for a command line of no use.
//
// The first line on stdout is "shoal origin: listening on http://ADDRESS:PORT", printed
// once connections are accepted.
int RunOriginCommand(int argc, char** argv);
DescribedCommand DescribeOriginCommand();

}  // namespace shoal
