// The processors that a thread may run on, for the threads it makes: they inherit it of the one
// that makes them, which may be pinned to one.
#pragma once

#include <sched.h>

namespace shoal {

class CpuMask {
 public:
  // Of this thread. Of a machine with more than 1,024 processors nothing is known.
  CpuMask() : known_(sched_getaffinity(0, sizeof(cpus_), &cpus_) == 0) {}
  // This thread may run there, and nowhere else.
  void Apply() const {
    if (known_) sched_setaffinity(0, sizeof(cpus_), &cpus_);
  }
  // It may run there, but not on `cpu` where there is another.
  void ApplyBut(int cpu) const {
    cpu_set_t others = cpus_;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) == 0) return Apply();
    sched_setaffinity(0, sizeof(others), &others);
  }
  // 0: not known.
  [[nodiscard]] int count() const { return known_ ? CPU_COUNT(&cpus_) : 0; }

 private:
  cpu_set_t cpus_{};
  const bool known_;
};

}  // namespace shoal
