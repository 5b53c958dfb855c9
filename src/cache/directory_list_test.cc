#include "cache/directory_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SplitDirectoryList, ColonsThatHaveNoDirectoryBetweenThemCountForNothing) {
  EXPECT_THAT(*SplitDirectoryList("/mnt/a/:/mnt/b"), ElementsAre("/mnt/a/", "/mnt/b/"));
  EXPECT_THAT(*SplitDirectoryList("/mnt/a/:"), ElementsAre("/mnt/a/"));
  EXPECT_THAT(*SplitDirectoryList("::/mnt/a::"), ElementsAre("/mnt/a/"));
  EXPECT_THAT(*SplitDirectoryList(""), IsEmpty());
}

TEST(SplitDirectoryList, APathThatIsNotAbsoluteIsRefused) {
  EXPECT_EQ(SplitDirectoryList("/mnt/a/:b/").error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace shoal
