// Where a path leads, without looking further than asked.
#pragma once

#include <functional>
#include <string>

namespace shoal {

// Follows the links of an absolute path, and resolves "." and "..". Not realpath(3): in a mount
// that does not answer that would hang. `ends_at` is asked of each place on the way; at and below
// one that it is true for nothing is looked at. What is not there is no link; beyond 40 links, as
// in the kernel, none is followed. May wait for the file systems on the way.
std::string ResolveLinks(const std::string& path,
                         const std::function<bool(const std::string&)>& ends_at);

// Whether it is the directory or lies below it, by its name. Neither ends in a slash.
bool IsIn(const std::string& path, const std::string& directory);

}  // namespace shoal
