// What the tests of sessions share: a MemoryFileSystem served to the kernel of this machine, at
// a mount point of its own, over the transport that the test's parameter names.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fuse/io_uring_switch.h"
#include "fuse/mount.h"
#include "fuse/session.h"
#include "testing/memory_file_system.h"

namespace shoal {

// Bytes that are different everywhere, so that a shift or a swap shows.
inline std::string Pattern(size_t size_bytes, uint64_t seed) {
  std::string out(size_bytes, '\0');
  uint64_t state = seed * 0x9E3779B97F4A7C15 + 1;
  for (char& c : out) {
    state = state * 6364136223846793005 + 1442695040888963407;
    c = static_cast<char>(state >> 56);
  }
  return out;
}

// The whole file in reads of `step_bytes`; what failed is the errno in angle brackets.
inline std::string Slurp(const std::string& path, size_t step_bytes, int flags = 0) {
  const int fd = open(path.c_str(), O_RDONLY | flags);
  if (fd < 0) return "<open: " + std::string(std::strerror(errno)) + ">";
  std::string out;
  void* buffer = nullptr;
  if (posix_memalign(&buffer, 4096, step_bytes) != 0) return "<memory>";
  ssize_t length = 0;
  while ((length = read(fd, buffer, step_bytes)) > 0)
    out.append(static_cast<char*>(buffer), static_cast<size_t>(length));
  if (length < 0) out = "<read: " + std::string(std::strerror(errno)) + ">";
  std::free(buffer);
  close(fd);
  return out;
}

class MountedSessionTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    if (access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "there is no /dev/fuse";
    if (GetParam() == "io_uring") {
      const Result<> enabled = EnableIoUring();
      if (!enabled) GTEST_SKIP() << enabled.error().detail;
    }
    char name[] = "/tmp/shoal-session-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    path_ = name;
    options_.transport = GetParam();
  }

  // No mount may outlive a test, however it ends.
  void TearDown() override {
    if (path_.empty()) return;
    file_system_.lookup_gate.Open();
    file_system_.open_gate.Open();
    file_system_.attributes_gate.Open();
    file_system_.ReleaseReads();
    EXPECT_TRUE(Unmount(path_, /*lazy=*/true));
    if (outcome_.valid()) outcome_.wait();
    if (device_fd_ >= 0) close(std::exchange(device_fd_, -1));
    EXPECT_EQ(rmdir(path_.c_str()), 0) << std::strerror(errno);
  }

  void MountAndServe() {
    const Result<int> fd = Mount({.source = "bucket.example:/a b",
                                  .subtype = "shoaltest",
                                  .mount_point = path_,
                                  .flags = 0});
    ASSERT_TRUE(fd) << fd.error().detail;
    device_fd_ = *fd;
    Serve({});
  }
  void Serve(std::vector<std::byte> saved_init) { Serve(std::move(saved_init), no_hand_over_); }
  void Serve(std::vector<std::byte> saved_init, HandOver& hand_over) {
    auto session =
        StartSession(file_system_, {.device_fd = device_fd_, .saved_init = std::move(saved_init)},
                     path_, options_, clock_, hand_over);
    ASSERT_TRUE(session) << session.error().detail;
    session_ = *std::move(session);
    outcome_ = std::async(std::launch::async, [this] { return session_->Serve(); });
  }
  void ExpectServeEnds() {
    const Result<> outcome = outcome_.get();
    EXPECT_TRUE(outcome) << outcome.error().detail;
    session_.reset();
  }
  // What every test ends with: the mount goes, Serve returns, nothing is left behind.
  void UnmountAndExpectEnd(bool lazy = false) {
    file_system_.WaitUntilAllReleased();  // the kernel does so some time after the close
    const Result<> unmounted = Unmount(path_, lazy);
    ASSERT_TRUE(unmounted) << unmounted.error().detail;
    ExpectServeEnds();
  }
  [[nodiscard]] std::string At(const std::string& name) const { return path_ + "/" + name; }

  SystemClock clock_;
  NoHandOver no_hand_over_;
  MemoryFileSystem file_system_;
  SessionOptions options_;
  std::string path_;
  int device_fd_ = -1;
  std::unique_ptr<Session> session_;
  std::future<Result<>> outcome_;
};

}  // namespace shoal
