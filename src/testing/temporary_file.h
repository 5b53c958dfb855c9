// A WholeFile of a test's own.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cassert>
#include <string>

#include "cache/whole_file.h"

namespace shoal {

// In memory, or without a name in `directory`.
class TemporaryFile final : public WholeFile {
 public:
  explicit TemporaryFile(const std::string& contents, const std::string& directory = "")
      : fd_(directory.empty() ? memfd_create("shoal-test", MFD_CLOEXEC)
                              : open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
    [[maybe_unused]] const ssize_t written = pwrite(fd_, contents.data(), contents.size(), 0);
    assert(written == static_cast<ssize_t>(contents.size()));
  }
  ~TemporaryFile() override { close(fd_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] int fd() const override { return fd_; }

 private:
  const int fd_;
};

}  // namespace shoal
