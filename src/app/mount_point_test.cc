#include "app/mount_point.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace shoal {
namespace {

class MountPoint : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/shoal-point-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    base_ = path;
    directory_ = base_ + "/directory";
    ASSERT_EQ(mkdir(directory_.c_str(), 0755), 0);
  }
  void TearDown() override {
    unlink((base_ + "/link").c_str());
    unlink((base_ + "/file").c_str());
    rmdir(directory_.c_str());
    rmdir(base_.c_str());
  }

  std::string base_;
  std::string directory_;
};

TEST_F(MountPoint, IsResolvedThroughSymlinksAndWithoutSlashesBehindIt) {
  const std::string link = base_ + "/link";
  ASSERT_EQ(symlink(directory_.c_str(), link.c_str()), 0);
  EXPECT_EQ(ResolveMountPoint(link + "//"), directory_);
  EXPECT_EQ(ResolveMountPoint("/"), "/");
  EXPECT_TRUE(CheckMountPoint(directory_));
}

TEST_F(MountPoint, ThatIsNotThereIsSaidWithWhatToDo) {
  const auto resolved = ResolveMountPoint(base_ + "/nothing");
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error(),
            (Error{Errc::kNotFound, "mount point " + base_ + "/nothing does not exist"}));
  EXPECT_EQ(ResolveMountPoint("").error(),
            (Error{Errc::kInvalid, "the mount point is an empty text"}));
}

TEST_F(MountPoint, ThatIsAFileIsRefused) {
  const std::string file = base_ + "/file";
  close(open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const auto checked = CheckMountPoint(file);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error(),
            (Error{Errc::kNotDirectory, "mount point " + file + " is not a directory"}));
}

}  // namespace
}  // namespace shoal
