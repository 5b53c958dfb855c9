#include "fuse/inode_pruner.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "testing/eventually.h"
#include "testing/mounted_session.h"

namespace shoal {
namespace {

bool KernelCanPrune() {
  utsname name{};
  int major = 0;
  int minor = 0;
  return uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 18));
}

class InodePrunerTest : public MountedSessionTest {};

INSTANTIATE_TEST_SUITE_P(Transports, InodePrunerTest, testing::Values("dev", "io_uring"),
                         [](const auto& test) { return test.param; });

TEST_P(InodePrunerTest, OfMoreInodesThanArePlannedForThoseInUseStay) {
  if (!KernelCanPrune()) GTEST_SKIP() << "needs Linux 6.18";
  constexpr size_t kMax = 2000;
  const InodeId directory = file_system_.AddDirectory(kRootInode, "directory");
  const auto name = [](int i) { return "directory/" + std::to_string(i); };
  const InodeId first = file_system_.AddFile(directory, "0", "of the first");
  for (int i = 1; i < 10'000; ++i) file_system_.AddFile(directory, std::to_string(i), "x");
  file_system_.SetInodeCountMax(kMax);
  file_system_.SetValidFor(std::chrono::hours(1));
  MountAndServe();
  const int fd = open(At(name(0)).c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  struct stat status {};
  for (int i = 1; i < 10'000; ++i) ASSERT_EQ(stat(At(name(i)).c_str(), &status), 0);
  EXPECT_TRUE(Eventually([&] { return file_system_.inode_count() <= kMax; }));
  EXPECT_GT(file_system_.inode_count(), kMax / 2) << "not more than that goes";
  char bytes[32];
  EXPECT_EQ(pread(fd, bytes, sizeof(bytes), 0), 12);
  EXPECT_EQ(std::string(bytes, 12), "of the first");
  EXPECT_GT(file_system_.remembered_count(first), 0u);
  EXPECT_EQ(Slurp(At(name(17)), 4096), "x");
  close(fd);
  UnmountAndExpectEnd();
}

}  // namespace
}  // namespace shoal
