// What this process takes of the machine, from /proc/self and getrusage. Thread-safe.
#pragma once

#include <cstdint>

namespace shoal {

struct ProcessUse {
  uint64_t resident_bytes = 0;
  double cpu_seconds = 0;  // of all threads, in the kernel too
  uint64_t descriptor_count = 0;
  uint64_t thread_count = 0;
};

// Walks /proc: for who asks now and then.
ProcessUse GetProcessUse();
// cpu_seconds alone, at the price of a system call.
double CpuSeconds();

}  // namespace shoal
