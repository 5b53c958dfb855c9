// The files of the live page, as they were when the program was built.
#pragma once

#include <span>
#include <string_view>

namespace shoal {

struct PageFile {
  std::string_view path;  // "/page.js"; that of index.html is "/"
  std::string_view content_type;
  std::string_view text;
};

std::span<const PageFile> PageFiles();

}  // namespace shoal
