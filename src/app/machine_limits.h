// How much memory this process may use, and how many threads it may have: the machine's, or less
// if a control group (v1 or v2) says so. A limit of an outer group binds as well as one of our own.
// Source: Linux, Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst and pids.rst.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace shoal {

struct MemoryLimit {
  uint64_t bytes = 0;
  std::string whose;  // for messages: "the machine", "the control group /a/b"
};

// `root`, here and below, is "/", or in tests a directory with proc/ and sys/ in it.
MemoryLimit FindMemoryLimit(const std::filesystem::path& root = "/");

struct ThreadLimit {
  uint64_t count = 0;  // of all processes of the group
  std::string whose;
};

ThreadLimit FindThreadLimit(const std::filesystem::path& root = "/");

}  // namespace shoal
