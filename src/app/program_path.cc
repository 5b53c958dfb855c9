#include "app/program_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace shoal {
namespace {

constexpr const char* kSelf = "/proc/self/exe";

bool IsThisProgram(const std::string& path) {
  struct stat self {};
  struct stat found {};
  return stat(kSelf, &self) == 0 && stat(path.c_str(), &found) == 0 &&
         self.st_dev == found.st_dev && self.st_ino == found.st_ino;
}

std::string InPath(std::string_view name) {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const size_t length = std::min(rest.find(':'), rest.size());
    std::string candidate = std::string(rest.substr(0, length)) + "/" + std::string(name);
    if (candidate.starts_with('/') && IsThisProgram(candidate)) return candidate;
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
  return {};
}

}  // namespace

std::string PathOfThisProgram(std::string_view called_as) {
  std::string path(called_as);
  if (path.find('/') == std::string::npos) {
    path = InPath(path);
  } else if (!path.starts_with('/')) {
    char directory[PATH_MAX];
    if (getcwd(directory, sizeof(directory)) != nullptr)
      path = std::string(static_cast<const char*>(directory)) + "/" + path;
  }
  if (path.starts_with('/') && IsThisProgram(path)) return path;
  char target[PATH_MAX] = {};
  const ssize_t length = readlink(kSelf, target, sizeof(target) - 1);
  return length > 0 ? std::string(static_cast<const char*>(target)) : kSelf;
}

}  // namespace shoal
