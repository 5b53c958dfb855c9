#pragma once

namespace shoal {

// `shoal umount MOUNTPOINT [-l]`: unmounts a bucket, whose daemon then ends. The exit
// status, as umount(8)'s; what failed is on stderr.
int RunUmountCommand(int argc, const char* const* argv);

}  // namespace shoal
