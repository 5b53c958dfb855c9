// A file system whose process ended, and the one that takes its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fs/shared_hand_over.h"
#include "testing/object_file_system_fixture.h"

namespace shoal {
namespace {

class RestartTest : public ObjectFileSystemFixture {
 protected:
  // Ends the process that was, without a word to it, and starts the next.
  void Restart() {
    file_system_.reset();
    left_ = *SharedHandOver::Attach(std::as_writable_bytes(std::span(memory_)));
    file_system_ = MakeObjectFileSystem(options_, hooked_store_, engine_, clock_, *left_, metrics_);
  }
  // What the kernel is given of the directory's files by READDIRPLUS.
  [[nodiscard]] std::vector<InodeId> ListWithAttributes(InodeId directory) {
    std::vector<InodeId> inodes;
    const HandleId handle = *file_system_->OpenDirectory(directory);
    for (uint64_t cookie = 2;;) {
      const auto entries = file_system_->ReadDirectory(handle, cookie, 1000, Soon());
      if (!entries || entries->empty()) break;
      for (const DirectoryEntry& entry : *entries) {
        inodes.push_back(file_system_->Remember(handle, entry));
        cookie = entry.next_cookie;
      }
    }
    file_system_->Release(handle);
    return inodes;
  }
  [[nodiscard]] std::vector<std::string> NamesOf(HandleId handle, uint64_t cookie = 2) {
    std::vector<std::string> names;
    const auto entries = file_system_->ReadDirectory(handle, cookie, 100, Soon());
    if (!entries) return {"<" + entries.error().detail + ">"};
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
    return names;
  }

  FileSystemOptions options_;
  std::vector<uint64_t> memory_ = std::vector<uint64_t>(128 * kKiB);
  std::unique_ptr<SharedHandOver> left_;
};

TEST_F(RestartTest, ADirectoryTheKernelKnowsIsKnown) {
  store_.Put("a/b/file", "x");
  Restart();
  const InodeId inode = Walk("a/b")->attributes.inode;
  Restart();
  const Result<Entry> again = file_system_->GetAttributes(inode);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->attributes.is_directory);
  EXPECT_TRUE(file_system_->Lookup(inode, "file", Soon()));
}

TEST_F(RestartTest, ADirectoryIsForgottenWhenTheKernelForgetsAllReferencesOldAndNew) {
  store_.Put("a/file", "x");
  Restart();
  const InodeId inode = Walk("a")->attributes.inode;
  ASSERT_TRUE(Walk("a"));
  Restart();
  ASSERT_TRUE(Walk("a"));
  file_system_->Forget(inode, 2);
  Restart();
  EXPECT_TRUE(file_system_->GetAttributes(inode)) << "one is left";
  file_system_->Forget(inode, 1);
  Restart();
  EXPECT_EQ(file_system_->GetAttributes(inode).error().code, Errc::kChanged);
}

TEST_F(RestartTest, AFileThatWasJustLookedUpOpens) {
  store_.Put("file", "12345");
  Restart();
  const InodeId inode = Walk("file")->attributes.inode;
  for (int i = 0; i < 3; ++i) Restart();
  const auto opened = file_system_->Open(inode, Soon());
  ASSERT_TRUE(opened);
  EXPECT_EQ(*ReadAll(opened->handle, 5), "12345");
  file_system_->Forget(inode, 1);
  Restart();
  EXPECT_EQ(file_system_->GetAttributes(inode).error().code, Errc::kChanged);
}

TEST_F(RestartTest, AFileThatWasUploadedAgainIsLeftWithTheTimeThatWasLookedUpLast) {
  store_.Put("file", "12345");
  Restart();
  const InodeId inode = Walk("file")->attributes.inode;
  store_.PutAgain("file", 1'800'000'000);
  clock_.Advance(std::chrono::seconds(20));
  ASSERT_TRUE(Walk("file"));
  Restart();
  const Result<Entry> entry = file_system_->GetAttributes(inode);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->attributes.modified_unix_seconds, 1'800'000'000);
  EXPECT_TRUE(file_system_->Open(inode, Soon()));
}

TEST_F(RestartTest, AFileThatWasLookedUpLongAgoIsStaleAndFoundAgain) {
  store_.Put("file", "12345");
  for (int i = 0; i < 1024; ++i) store_.Put("other/" + std::to_string(i), "x");
  Restart();
  const InodeId inode = Walk("file")->attributes.inode;
  for (int i = 0; i < 1024; ++i) ASSERT_TRUE(Walk("other/" + std::to_string(i)));
  Restart();
  EXPECT_EQ(file_system_->GetAttributes(inode).error().code, Errc::kChanged);
  EXPECT_EQ(file_system_->Open(inode, Soon()).error().code, Errc::kChanged);
  EXPECT_EQ(Walk("file")->attributes.inode, inode);
}

TEST_F(RestartTest, WhereOpensGoUnaskedEveryFileThatTheKernelHasIsKnownUntilItIsForgotten) {
  for (int i = 0; i < 1100; ++i) store_.Put("d/" + std::to_string(i), "12345");
  options_.opens_go_unasked = true;
  Restart();
  const std::vector<InodeId> listed = ListWithAttributes(Walk("d")->attributes.inode);
  ASSERT_EQ(listed.size(), 1100u);
  ASSERT_EQ(Walk("d/0")->attributes.inode, listed[0]);
  for (int i = 0; i < 2; ++i) Restart();
  for (const InodeId inode : listed) {
    const auto opened = file_system_->Open(inode, Soon());
    ASSERT_TRUE(opened);
    EXPECT_EQ(*ReadAll(opened->handle, 5), "12345");
    file_system_->Forget(inode, inode == listed[0] ? 2 : 1);
  }
  Restart();
  for (const InodeId inode : listed)
    EXPECT_EQ(file_system_->GetAttributes(inode).error().code, Errc::kChanged);
}

TEST_F(RestartTest, AnOpenFileReadsOnAndHasItsAttributes) {
  store_.Put("file", "12345");
  Restart();
  const Result<Entry> before = Walk("file");
  const HandleId handle = *OpenPath("file");
  file_system_->Keep(handle, {.request = 17, .backing_id = 5});
  Restart();
  EXPECT_EQ(*ReadAll(handle, 5), "12345");
  const Result<Entry> after = file_system_->GetAttributes(before->attributes.inode);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->attributes.size_bytes, 5u);
  EXPECT_EQ(after->attributes.modified_unix_seconds, before->attributes.modified_unix_seconds);
  const std::vector<KeptHandle> left = file_system_->HandlesLeft();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].handle, handle);
  EXPECT_EQ(left[0].inode, before->attributes.inode);
  EXPECT_FALSE(left[0].is_directory);
  EXPECT_EQ(left[0].note, (OpenNote{17, 5}));
}

TEST_F(RestartTest, AnOpenFileReadsItsVersionAndNoOther) {
  store_.Put("file", "old");
  Restart();
  const HandleId handle = *OpenPath("file");
  file_system_->Keep(handle, {});
  store_.Put("file", "new");
  Restart();
  EXPECT_EQ(ReadAll(handle, 3).error().code, Errc::kChanged);
}

TEST_F(RestartTest, ANewHandleIsNoneThatWasGivenOutBefore) {
  store_.Put("file", "12345");
  Restart();
  const HandleId first = *OpenPath("file");
  Restart();
  const HandleId second = *OpenPath("file");
  EXPECT_GT(second, first);
  EXPECT_FALSE(file_system_->Unkeep(first)) << "it was not kept";
  EXPECT_EQ(*ReadAll(second, 5), "12345");
}

TEST_F(RestartTest, AHandleThatIsKeptNoMoreIsGone) {
  store_.Put("d/file", "12345");
  Restart();
  const HandleId file = *OpenPath("d/file");
  const HandleId directory = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  file_system_->Keep(file, {});
  file_system_->Keep(directory, {});
  EXPECT_TRUE(file_system_->Unkeep(file));
  EXPECT_TRUE(file_system_->Unkeep(directory));
  Restart();
  EXPECT_TRUE(file_system_->HandlesLeft().empty());
  EXPECT_FALSE(file_system_->Unkeep(file));
}

TEST_F(RestartTest, AnOpenDirectoryIsReadOn) {
  for (const std::string name : {"a", "b", "c", "d"}) store_.Put("d/" + name, "x");
  Restart();
  const HandleId handle = *file_system_->OpenDirectory(Walk("d")->attributes.inode);
  file_system_->Keep(handle, {.request = 3});
  ASSERT_EQ(file_system_->ReadDirectory(handle, 2, 2, Soon())->back().next_cookie, 4u);
  Restart();
  EXPECT_THAT(NamesOf(handle, 4), testing::ElementsAre("c", "d"));
  EXPECT_THAT(NamesOf(handle), testing::ElementsAre("a", "b", "c", "d"));
  ASSERT_EQ(file_system_->HandlesLeft().size(), 1u);
  EXPECT_TRUE(file_system_->HandlesLeft()[0].is_directory);
  EXPECT_EQ(file_system_->HandlesLeft()[0].note.request, 3u);
}

}  // namespace
}  // namespace shoal
