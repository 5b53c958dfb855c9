#include "control/describe_path.h"

#include <gtest/gtest.h>

#include <optional>

#include "testing/memory_object_store.h"

namespace shoal {
namespace {

class DescribePathTest : public testing::Test {
 protected:
  PathFacts Describe(const std::string& path) {
    return DescribePath(store_, requests_, "mounted/", {}, path, {}).value();
  }

  LastRequests requests_;
  MemoryObjectStore store_;
};

TEST_F(DescribePathTest, AFileHasTheLastRequestForItsObject) {
  store_.Put("mounted/a", "0123456789");
  requests_.Note("a", {.operation = "HeadObject"});
  EXPECT_EQ(Describe("a").last_request, std::nullopt);
  const LastRequest reading{.operation = "GetObject", .id = "of a reader", .status = 206};
  requests_.Note("mounted/a", reading);
  EXPECT_EQ(Describe("a").key, "mounted/a");
  EXPECT_EQ(Describe("a").last_request, reading);
}

TEST_F(DescribePathTest, ADirectoryHasNone) {
  store_.Put("mounted/directory/a", "x");
  requests_.Note("mounted/directory", {.operation = "HeadObject"});
  requests_.Note("mounted/directory/a", {.operation = "GetObject"});
  const PathFacts facts = Describe("directory");
  EXPECT_TRUE(facts.is_directory);
  EXPECT_EQ(facts.last_request, std::nullopt);
}

}  // namespace
}  // namespace shoal
