#include "control/process_use.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace shoal {
namespace {

uint64_t CountEntries(const char* directory) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(directory, error);
  return error ? 0 : static_cast<uint64_t>(std::distance(begin(entries), end(entries)));
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

double CpuSeconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

ProcessUse GetProcessUse() {
  ProcessUse use;
  uint64_t size_pages = 0;
  uint64_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> size_pages >> resident_pages;
  use.resident_bytes = resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  use.cpu_seconds = CpuSeconds();
  use.descriptor_count = CountEntries("/proc/self/fd");
  use.thread_count = CountEntries("/proc/self/task");
  return use;
}

}  // namespace shoal
