#include "app/cache_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "testing/temporary_directory.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class CachePlacesTest : public ::testing::Test {
 protected:
  CachePlacesTest() {
    for (const char* const name : {"a", "b", "mnt"}) fs::create_directory(base_ / name);
    fs::create_directory_symlink(base_ / "a", base_ / "to a");
    fs::create_directory_symlink("mnt", base_ / "to mnt");
    fs::create_directory_symlink("loop", base_ / "loop");
  }

  // "a:b" is base/a:base/b. Empty: they are good.
  std::string Check(const std::string& names) {
    CacheOptions options;
    options.disk_capacity_mib = 64;
    std::string rest = names;
    while (!rest.empty()) {
      const size_t colon = std::min(rest.find(':'), rest.size());
      options.disk_directories += (base_ / rest.substr(0, colon)).string() + ":";
      rest.erase(0, colon + 1);
    }
    const Result<> checked = CheckCachePlaces(options, base_ / "mnt");
    if (checked) return "";
    EXPECT_EQ(checked.error().code, Errc::kInvalid);
    return checked.error().detail;
  }

  const TemporaryDirectory directory_;
  const fs::path base_ = fs::canonical(directory_.path());
};

TEST_F(CachePlacesTest, DirectoriesOutsideTheMountAreGood) {
  for (const char* const names : {"a", "a:b", "to a:b", "mnt/../a", "mntx", "to mnt/../a", "loop"})
    EXPECT_EQ(Check(names), "") << names;
}

TEST_F(CachePlacesTest, OneThatIsNamedTwiceIsRefusedAlsoByAnotherName) {
  for (const char* const names :
       {"a:a", "a:a/", "a:b:a", "a:./a", "a:b/../a", "a:to a", "to a:a", "a:b/..//a", "a:mnt/../a"})
    EXPECT_THAT(Check(names), AllOf(HasSubstr("g_tier_DadiDiskCachePath: "), HasSubstr("twice")))
        << names;
  EXPECT_THAT(Check("a:to a"), HasSubstr("/to a/ is named twice, also as " + base_.string()));
}

TEST_F(CachePlacesTest, TheMountPointAndWhatIsInItAreRefused) {
  for (const char* const names :
       {"mnt", "mnt/", "mnt/below/it", "a:mnt", "b/../mnt", "to mnt", "to mnt/below", "mnt/./x"})
    EXPECT_THAT(Check(names), HasSubstr("is in the mount itself, at " + base_.string() + "/mnt"))
        << names;
}

}  // namespace
}  // namespace shoal
