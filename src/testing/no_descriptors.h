// While it lives, this process gets no further descriptor, or only so many.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace shoal {

class NoDescriptors {
 public:
  explicit NoDescriptors(unsigned spare_count = 0) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int first_free = open("/", O_PATH | O_CLOEXEC);
    close(first_free);
    const rlimit few{.rlim_cur = static_cast<rlim_t>(first_free) + spare_count,
                     .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace shoal
