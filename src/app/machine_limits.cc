#include "app/machine_limits.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <vector>

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

using Visit = std::function<void(const fs::path& file, const fs::path& group)>;

// `group` and all groups around it.
void ForEachAround(const fs::path& hierarchy, fs::path group, const char* file,
                   const Visit& visit) {
  while (true) {
    visit(hierarchy / group.relative_path() / file, group);
    if (!group.has_relative_path()) return;
    group = group.parent_path();
  }
}

// The files with limits of a controller that bind this process, some of which may not be there.
void ForEachLimit(const fs::path& root, const std::string& controller,
                  const std::vector<const char*>& files_of_v2, const char* file_of_v1,
                  const Visit& visit) {
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
        for (const char* file : files_of_v2) ForEachAround(root / hierarchy, group, file, visit);
    } else if (controllers.find("," + controller + ",") != controllers.npos) {
      ForEachAround(root / "sys/fs/cgroup" / controller, group, file_of_v1, visit);
    }
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
  ForEachLimit(root, "memory", {"memory.max", "memory.high"}, "memory.limit_in_bytes",
               [&](const fs::path& file, const fs::path& group) {
                 uint64_t bytes = 0;
                 if (ReadNumber(file, bytes) && bytes < limit.bytes)
                   limit = {bytes, "the control group " + group.string()};
               });
  return limit;
}

ThreadLimit FindThreadLimit(const fs::path& root) {
  ThreadLimit limit{~uint64_t{0}, "the machine"};
  for (const char* file : {"threads-max", "pid_max"}) {
    uint64_t count = 0;
    if (ReadNumber(root / "proc/sys/kernel" / file, count))
      limit.count = std::min(limit.count, count);
  }
  ForEachLimit(root, "pids", {"pids.max"}, "pids.max",
               [&](const fs::path& file, const fs::path& group) {
                 uint64_t count = 0;
                 if (ReadNumber(file, count) && count < limit.count)
                   limit = {count, "the control group " + group.string()};
               });
  return limit;
}

}  // namespace shoal
