#include "app/memory_limit.h"

#include <charconv>
#include <fstream>
#include <string_view>

namespace shoal {
namespace {

namespace fs = std::filesystem;

// Empty if there is none, or it is not a number ("max").
bool ReadNumber(const fs::path& path, uint64_t& out) {
  std::string text;
  std::ifstream file(path);
  if (!file || !(file >> text)) return false;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  out = value;
  return true;
}

void Tighten(MemoryLimit& limit, const fs::path& file, const std::string& group) {
  uint64_t bytes = 0;
  if (!ReadNumber(file, bytes) || bytes >= limit.bytes) return;
  limit = {bytes, "the control group " + group};
}

// `group` and all groups around it.
void TightenByGroups(MemoryLimit& limit, const fs::path& hierarchy, fs::path group,
                     const char* file) {
  while (true) {
    Tighten(limit, hierarchy / group.relative_path() / file, group.string());
    if (!group.has_relative_path()) return;
    group = group.parent_path();
  }
}

uint64_t MachineBytes(const fs::path& root) {
  std::ifstream file(root / "proc/meminfo");
  std::string word;
  uint64_t kib = 0;
  while (file >> word)
    if (word == "MemTotal:" && file >> kib) return kib * 1024;
  return ~uint64_t{0};
}

}  // namespace

MemoryLimit FindMemoryLimit(const fs::path& root) {
  MemoryLimit limit{MachineBytes(root), "the machine"};
  std::ifstream groups(root / "proc/self/cgroup");
  std::string line;  // ID:CONTROLLERS:PATH; of version 2, 0::PATH
  while (std::getline(groups, line)) {
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") {
      for (const char* hierarchy : {"sys/fs/cgroup", "sys/fs/cgroup/unified"})
        for (const char* file : {"memory.max", "memory.high"})
          TightenByGroups(limit, root / hierarchy, group, file);
    } else if (controllers.find(",memory,") != controllers.npos) {
      TightenByGroups(limit, root / "sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
  }
  return limit;
}

}  // namespace shoal
