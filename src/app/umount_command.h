#pragma once

#include "cli/manual.h"

namespace shoal {

// `shoal umount MOUNTPOINT [-l]`: unmounts a bucket, whose daemon then ends. The exit
// status, as umount(8)'s; what failed is on stderr.
int RunUmountCommand(int argc, const char* const* argv);
DescribedCommand DescribeUmountCommand();

}  // namespace shoal
