// A way into a mount that its own path may not lead to any more: after `umount -l`, those that
// still use it have one.
#pragma once

#include <string>

namespace shoal {

// A file or directory in the file system `device` ("MAJOR:MINOR") that some process has open or
// stands in, as /proc has it. Empty: nobody that can be seen uses it. Asks the file system nothing;
// looking at what others have open may wait for a network file system that does not answer.
std::string PathHeldIn(const std::string& device);

}  // namespace shoal
