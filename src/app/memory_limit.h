// How much memory this process may use: the machine's, or less if a control group (v1 or
// v2) says so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace shoal {

struct MemoryLimit {
  uint64_t bytes = 0;
  std::string whose;  // for messages: "the machine", "the control group /a/b"
};

// `root` is "/", or in tests a directory with proc/ and sys/ in it. A limit of an outer group
// binds as well as one of our own. Source: Linux, Documentation/admin-guide/cgroup-v2.rst and
// cgroup-v1/memory.rst.
MemoryLimit FindMemoryLimit(const std::filesystem::path& root = "/");

}  // namespace shoal
