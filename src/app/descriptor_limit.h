// How many descriptors this process may have.
#pragma once

#include <sys/resource.h>

#include <algorithm>

namespace shoal {

inline constexpr rlim_t kDescriptorCountMax = 1 << 20;

// As many as may be, which is more than shells give a program to begin with.
inline void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min(limit.rlim_max, kDescriptorCountMax);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace shoal
