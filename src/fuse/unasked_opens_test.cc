#include "fuse/unasked_opens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/fake_clock.h"
#include "testing/memory_file_system.h"

namespace shoal {
namespace {

class UnaskedOpensTest : public testing::Test {
 protected:
  HandleId Open(InodeId inode) { return file_system_.Open(inode, {})->handle; }
  InodeId AddFile() {
    return file_system_.AddFile(kRootInode, "file " + std::to_string(++file_count_), "contents");
  }

  FakeClock clock_;
  MemoryFileSystem file_system_;
  UnaskedOpens unasked_{file_system_, clock_};
  int file_count_ = 0;
};

TEST_F(UnaskedOpensTest, AFileIsFoundOpenUntilItWasNotUsedForAWhile) {
  const InodeId inode = AddFile();
  EXPECT_EQ(unasked_.Find(inode), nullptr);
  const HandleId handle = Open(inode);
  EXPECT_EQ(*unasked_.Put(inode, handle), handle);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(UnaskedOpens::kIdleMax);
    ASSERT_NE(unasked_.Find(inode), nullptr);
    EXPECT_EQ(*unasked_.Find(inode), handle);
  }
  clock_.Advance(UnaskedOpens::kIdleMax + std::chrono::nanoseconds(1));
  EXPECT_EQ(unasked_.Find(AddFile()), nullptr);  // whoever comes
  file_system_.WaitUntilAllReleased();
  EXPECT_EQ(unasked_.Find(inode), nullptr);
}

TEST_F(UnaskedOpensTest, WhoIsSecondUsesTheHandleOfTheFirst) {
  const InodeId inode = AddFile();
  const HandleId first = Open(inode);
  const HandleId second = Open(inode);
  const UnaskedOpens::Handle put = unasked_.Put(inode, first);
  EXPECT_EQ(*unasked_.Put(inode, second), first);
  EXPECT_EQ(file_system_.open_handle_count(), 1U);
}

TEST_F(UnaskedOpensTest, AReaderKeepsWhatIsLetGo) {
  const InodeId inode = AddFile();
  UnaskedOpens::Handle reader = unasked_.Put(inode, Open(inode));
  clock_.Advance(2 * UnaskedOpens::kIdleMax);
  EXPECT_EQ(unasked_.Find(inode), nullptr);
  EXPECT_EQ(file_system_.open_handle_count(), 1U);
  reader = nullptr;
  EXPECT_EQ(file_system_.open_handle_count(), 0U);
}

TEST_F(UnaskedOpensTest, OfMoreThanEnoughTheLongestUnusedIsClosed) {
  std::vector<InodeId> inodes;
  for (size_t i = 0; i < UnaskedOpens::kCountMax; ++i) {
    inodes.push_back(AddFile());
    unasked_.Put(inodes.back(), Open(inodes.back()));
  }
  EXPECT_NE(unasked_.Find(inodes[0]), nullptr);
  const InodeId one_more = AddFile();
  unasked_.Put(one_more, Open(one_more));
  EXPECT_EQ(file_system_.open_handle_count(), UnaskedOpens::kCountMax);
  EXPECT_NE(unasked_.Find(inodes[0]), nullptr);
  EXPECT_EQ(unasked_.Find(inodes[1]), nullptr);
}

}  // namespace
}  // namespace shoal
