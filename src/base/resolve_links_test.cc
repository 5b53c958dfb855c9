#include "base/resolve_links.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "testing/temporary_directory.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

class ResolveLinksTest : public ::testing::Test {
 protected:
  ResolveLinksTest() : root_(fs::canonical(directory_.path())) {
    fs::create_directories(root_ / "a/b");
    fs::create_directory_symlink("a", root_ / "relative");
    fs::create_directory_symlink(root_ / "a/b", root_ / "absolute");
    fs::create_directory_symlink("..", root_ / "a/b/up");
    fs::create_directory_symlink("loop", root_ / "loop");
  }
  std::string Resolved(const std::string& path, const std::string& end = "") const {
    return ResolveLinks(root_ / path,
                        [&](const std::string& at) { return !end.empty() && at == root_ / end; });
  }

  TemporaryDirectory directory_;
  const fs::path root_;
};

TEST_F(ResolveLinksTest, FollowsLinksAndGoesUpAsTheKernelDoes) {
  EXPECT_EQ(Resolved("relative/b"), root_ / "a/b");
  EXPECT_EQ(Resolved("absolute/.."), root_ / "a");
  EXPECT_EQ(Resolved("a/./b//up/../absolute"), root_ / "a/b");
  EXPECT_EQ(Resolved("nothing/there"), root_ / "nothing/there");
  EXPECT_EQ(ResolveLinks("/..", [](const auto&) { return false; }), "/");
}

TEST_F(ResolveLinksTest, LooksAtNothingAtAndBelowAnEnd) {
  EXPECT_EQ(Resolved("relative/b/up", "a/b"), root_ / "a/b/up");
  EXPECT_EQ(Resolved("absolute/x", "absolute"), root_ / "absolute/x");
  EXPECT_EQ(Resolved("a/b/up/../../../relative", "a/b"), root_ / "a");
}

TEST_F(ResolveLinksTest, ALoopEnds) {
  EXPECT_EQ(Resolved("loop"), root_ / "loop");
}

}  // namespace
}  // namespace shoal
