// A small file, whole.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace shoal {

// As far as it can be read: of a file that cannot be opened, nothing. An iterator over the
// stream's buffer would throw where a read fails, as it does in /proc for a thread that has ended.
inline std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

}  // namespace shoal
