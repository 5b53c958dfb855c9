#include "fuse/open_modes.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

#include "testing/temporary_file.h"

namespace shoal {
namespace {

Backing Of(int32_t id) {
  return {id, id == 0 ? nullptr : std::make_shared<TemporaryFile>("x")};
}
// The id of what there is, -1 for nothing.
int32_t IdOf(const std::optional<Backing>& backing) {
  return backing ? backing->id : -1;
}

TEST(OpenModes, TheFirstOpenDecidesAndTheOthersFollow) {
  OpenModes modes;
  EXPECT_EQ(IdOf(modes.Join(7)), -1);
  EXPECT_EQ(modes.JoinOrEnter(7, Of(1)).id, 1);
  EXPECT_EQ(modes.JoinOrEnter(7, Of(2)).id, 1);
  EXPECT_EQ(modes.JoinOrEnter(7, Of(0)).id, 1);
  EXPECT_EQ(IdOf(modes.Join(7)), 1);

  EXPECT_EQ(modes.JoinOrEnter(8, Of(0)).id, 0);
  EXPECT_EQ(modes.JoinOrEnter(8, Of(3)).id, 0);
  EXPECT_EQ(IdOf(modes.Join(8)), 0);
}

TEST(OpenModes, TheModeIsLeftWithTheLastOpenAndNotBefore) {
  OpenModes modes;
  modes.JoinOrEnter(7, Of(1));
  modes.JoinOrEnter(7, Of(0));
  modes.Join(7);
  EXPECT_EQ(IdOf(modes.Leave(7)), -1);
  EXPECT_EQ(IdOf(modes.Leave(7)), -1);
  EXPECT_EQ(IdOf(modes.Leave(7)), 1);
  EXPECT_EQ(modes.JoinOrEnter(7, Of(0)).id, 0);
  EXPECT_EQ(IdOf(modes.Leave(7)), 0);
}

TEST(OpenModes, AJoinThatFindsNothingOpenCountsNothing) {
  OpenModes modes;
  modes.Join(7);
  modes.JoinOrEnter(7, Of(1));
  EXPECT_EQ(IdOf(modes.Leave(7)), 1);
}

TEST(OpenModes, AReleaseOfWhatWasOpenedBeforeChangesNothing) {
  OpenModes modes;
  EXPECT_EQ(IdOf(modes.Leave(7)), -1);
  modes.JoinOrEnter(7, Of(1));
  EXPECT_EQ(IdOf(modes.Leave(8)), -1);
  EXPECT_EQ(IdOf(modes.Join(7)), 1);
}

TEST(OpenModes, AFileIsHeldForAsLongAsAnInodeIsOpenWithIt) {
  OpenModes modes;
  Backing backing = Of(1);
  const std::weak_ptr<const WholeFile> file = backing.file;
  modes.JoinOrEnter(7, backing);
  modes.Join(7);
  backing = {};
  modes.Leave(7);
  EXPECT_FALSE(file.expired());
  modes.Leave(7);
  EXPECT_TRUE(file.expired());
}

// The kernel's account, as simply as it can be kept: what each open of an inode was told.
TEST(OpenModes, NoOrderOfOpensAndReleasesMixesModes) {
  std::mt19937 random(1);
  OpenModes modes;
  std::map<InodeId, std::multiset<int32_t>> open;
  int32_t next_id = 1;
  for (int i = 0; i < 100'000; ++i) {
    const InodeId inode = random() % 4;
    std::multiset<int32_t>& told = open[inode];
    if (random() % 2 == 0) {
      std::optional<Backing> mode = modes.Join(inode);
      ASSERT_EQ(mode.has_value(), !told.empty());
      if (!mode) mode = modes.JoinOrEnter(inode, {random() % 2 == 0 ? 0 : next_id++, nullptr});
      told.insert(mode->id);
      ASSERT_EQ(told.count(mode->id), told.size());
    } else if (!told.empty()) {
      const int32_t id = *told.begin();
      told.erase(told.begin());
      ASSERT_EQ(IdOf(modes.Leave(inode)), told.empty() ? id : -1);
    }
  }
}

}  // namespace
}  // namespace shoal
