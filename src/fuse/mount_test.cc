#include "fuse/mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "fuse/mount_table.h"

namespace shoal {
namespace {

TEST(MountInfo, IsReadWithOptionalFieldsAndOctalEscapes) {
  const auto mounts = ParseMountInfo(
      "36 35 98:0 /mnt1 /mnt/with\\040space rw,noatime master:1 shared:2 - ext3 /dev/root rw\n"
      "40 35 0:47 / /mnt/b\\134s rw,nosuid - fuse.shoal bucket\\011x:/ ro,user_id=0\n"
      "too short\n"
      "1 2 3:4 / /no/dash rw master:1\n");
  const std::vector<MountEntry> expected = {
      {"/mnt/with space", "ext3", "/dev/root", "98:0", "rw,noatime"},
      {"/mnt/b\\s", "fuse.shoal", "bucket\tx:/", "0:47", "rw,nosuid"},
  };
  EXPECT_EQ(mounts, expected);
}

TEST(Mount, APathThatIsNotThereIsNotFound) {
  const Result<int> fd =
      Mount({.source = "x:/", .subtype = "shoaltest", .mount_point = "/no/such", .flags = 0});
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().code, Errc::kNotFound);
}

TEST(Mount, AFileIsNotADirectory) {
  char path[] = "/tmp/shoal-mount-XXXXXX";
  const int file = mkstemp(path);
  ASSERT_GE(file, 0);
  close(file);
  const Result<int> fd =
      Mount({.source = "x:/", .subtype = "shoaltest", .mount_point = path, .flags = 0});
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().code, Errc::kNotDirectory);
  EXPECT_NE(fd.error().detail.find(path), std::string::npos);
  unlink(path);
}

TEST(Unmount, OfWhatIsNotMountedIsNoError) {
  char path[] = "/tmp/shoal-mount-XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  EXPECT_TRUE(Unmount(path, /*lazy=*/false));
  EXPECT_TRUE(Unmount(path, /*lazy=*/true));
  rmdir(path);
  EXPECT_TRUE(Unmount(path, /*lazy=*/false));
}

}  // namespace
}  // namespace shoal
