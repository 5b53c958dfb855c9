// How many descriptors this process may have.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

namespace shoal {

inline constexpr rlim_t kDescriptorCountMax = 1 << 20;

// As many as may be, which is more than shells give a program to begin with. How many that are.
inline uint64_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kDescriptorCountMax;
  limit.rlim_cur = std::min(limit.rlim_max, kDescriptorCountMax);
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace shoal
