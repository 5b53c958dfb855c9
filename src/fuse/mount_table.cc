#include "fuse/mount_table.h"

#include <iterator>
#include <sstream>
#include <utility>

#include "base/read_text.h"

namespace shoal {
namespace {

// The kernel writes space, tab, newline and backslash as \ and three octal digits.
std::string Decode(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

bool IsTypeOfOurs(std::string_view type) {
  return type == "fuse.shoal" || type == "fuse.alinas";
}

std::vector<MountEntry> ParseMountInfo(std::string_view text) {
  // 36 35 98:0 /root /mount/point rw,noatime master:1 - type source super,options
  std::vector<MountEntry> mounts;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
    size_t dash = 6;  // after a varying number of optional fields
    while (dash < fields.size() && fields[dash] != "-") ++dash;
    if (dash + 2 >= fields.size()) continue;
    mounts.push_back({Decode(fields[4]), Decode(fields[dash + 1]), Decode(fields[dash + 2]),
                      fields[2], fields[5]});
  }
  return mounts;
}

Result<std::vector<MountEntry>> MountsAt(std::string_view mount_point) {
  const std::string text = ReadText("/proc/self/mountinfo");
  if (text.empty()) return Fail(Errc::kUnsupported, "cannot read /proc/self/mountinfo");
  std::vector<MountEntry> mounts = ParseMountInfo(text);
  std::erase_if(mounts, [&](const MountEntry& m) { return m.mount_point != mount_point; });
  return mounts;
}

}  // namespace shoal
