#include "fs/inode_table.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "base/bytes.h"
#include "fs/shared_hand_over.h"

namespace shoal {
namespace {

ObjectInfo File(const std::string& key) {
  return {.version = {.key = key, .etag = "\"1\"", .size_bytes = 7}, .modified_unix_seconds = 1};
}

class InodeTableTest : public ::testing::Test {
 protected:
  InodeTableTest()
      : memory_(static_cast<std::byte*>(mmap(nullptr, 8 * kMiB, PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
                8 * kMiB) {
    Restart();
  }
  ~InodeTableTest() override { munmap(memory_.data(), memory_.size()); }
  // As the next process finds what this one left.
  void Restart() {
    table_.reset();
    hand_over_ = *SharedHandOver::Attach(memory_);
    table_.emplace("", *hand_over_, InodeTable::HandsOver::kAllFiles);
  }

  std::span<std::byte> memory_;
  std::unique_ptr<HandOver> hand_over_;
  std::optional<InodeTable> table_;
};

TEST_F(InodeTableTest, AFileIsKnownUntilTheKernelGaveBackAllReferencesAlsoThoseOfAProcessBefore) {
  const InodeId id = table_->ReferenceFile(File("a"))->id;
  table_->ReferenceLookedUp(File("a"));
  Restart();
  ASSERT_NE(table_->Find(id), nullptr);
  table_->ReferenceLookedUp(File("a"));
  table_->Forget(id, 2);  // what the process before had given
  ASSERT_NE(table_->Find(id), nullptr) << "and this one once more";
  EXPECT_EQ(table_->Find(id)->object.version.key, "a");
  Restart();
  table_->Forget(id, 1);
  EXPECT_EQ(table_->Find(id), nullptr);
}

TEST_F(InodeTableTest, NextGivesEachItsTurnAndNeverTheRoot) {
  std::set<InodeId> all;
  for (int i = 0; i < 1000; ++i)
    all.insert(table_->ReferenceFile(File("key" + std::to_string(i)))->id);
  EXPECT_EQ(table_->size(), 1 + all.size());
  std::set<InodeId> given;
  for (size_t count = 0; count < all.size();) {
    const std::vector<InodeId> some = table_->Next(64);
    ASSERT_GE(some.size(), 64u);
    count += some.size();
    given.insert(some.begin(), some.end());
  }
  // The last ones may have gone round already.
  EXPECT_GT(given.size(), all.size() - 64);
  for (const InodeId id : table_->Next(64)) given.insert(id);
  EXPECT_EQ(given, all);
  for (const InodeId id : all) table_->Forget(id, 1);
  EXPECT_TRUE(table_->Next(64).empty());
  EXPECT_EQ(table_->size(), 1u);
}

}  // namespace
}  // namespace shoal
