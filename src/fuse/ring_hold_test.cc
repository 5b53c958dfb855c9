// A session over io_uring that is on hold, as before another process takes over.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <utility>

#include "testing/mounted_session.h"

namespace shoal {
namespace {

using HoldTest = MountedSessionTest;
INSTANTIATE_TEST_SUITE_P(Transports, HoldTest, testing::Values("io_uring"),
                         [](const auto& instance) { return instance.param; });

TEST_P(HoldTest, ASessionOnHoldKeepsWhatItIsAskedAndEndsWhenItIsStopped) {
  file_system_.AddFile(kRootInode, "file", Pattern(4096, 13));
  MountAndServe();
  const int fd = open(At("file").c_str(), O_RDONLY | O_DIRECT);
  ASSERT_GE(fd, 0);
  file_system_.ParkReads();
  const auto read_page = [fd] {  // the errno
    alignas(4096) char page[4096];
    return pread(fd, page, sizeof(page), 0) < 0 ? errno : 0;
  };
  auto before = std::async(std::launch::async, read_page);
  file_system_.WaitUntilParked(1);
  session_->Hold();
  auto during = std::async(std::launch::async, read_page);
  session_->Hold();
  file_system_.ReleaseReads();
  session_->Stop();
  ExpectServeEnds();
  ::close(std::exchange(device_fd_, -1));  // as the keeper does, where nobody takes over
  EXPECT_EQ(before.get(), ECONNABORTED) << "it was answered";
  const int refused = during.get();
  EXPECT_TRUE(refused == ECONNABORTED || refused == ENOTCONN /* it came late */) << refused;
  close(fd);
}

}  // namespace
}  // namespace shoal
