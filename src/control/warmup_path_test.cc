#include "control/warmup_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <string>

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::string_literals;

TEST(SplitPaths, AtCommasThatAreNotEscaped) {
  EXPECT_THAT(SplitPaths("a"), ElementsAre("a"));
  EXPECT_THAT(SplitPaths("a,b/c,d e"), ElementsAre("a", "b/c", "d e"));
  EXPECT_THAT(SplitPaths("a\\,b,c\\d"), ElementsAre("a,b", "c\\d"));
  EXPECT_THAT(SplitPaths("\\,,\\,"), ElementsAre(",", ","));
  EXPECT_THAT(SplitPaths("a\\\\,b\\\\c,\\"), ElementsAre("a\\", "b\\c", "\\"));
}

TEST(SplitPaths, OnlyAnEmptyTextIsTheRoot) {
  EXPECT_THAT(SplitPaths(""), ElementsAre(""));
  EXPECT_THAT(SplitPaths("a,"), ElementsAre("a"));
  EXPECT_THAT(SplitPaths(",,a,,b,,"), ElementsAre("a", "b"));
  EXPECT_THAT(SplitPaths(",,"), IsEmpty());
}

TEST(NormalizeWarmupPath, TakesPathsBelowTheRoot) {
  EXPECT_EQ(*NormalizeWarmupPath(""), "");
  EXPECT_EQ(*NormalizeWarmupPath("model/weights.bin"), "model/weights.bin");
  EXPECT_EQ(*NormalizeWarmupPath("dir//"), "dir");
  EXPECT_EQ(*NormalizeWarmupPath("...,\\x/\xff"), "...,\\x/\xff") << "any bytes may be a name";
  EXPECT_TRUE(NormalizeWarmupPath(std::string(1000, 'x') + "/" + std::string(1000, 'y')));
}

TEST(NormalizeWarmupPath, RefusesWhatNoFileCanHave) {
  for (const std::string& path :
       {"/"s, "/a"s, "."s, ".."s, "a/./b"s, "a/../b"s, "../a"s, "a//b"s, "a\0b"s,
        std::string(2000, 'x'), std::string(100'000, 'y') + "/z", std::string(5000, '/') + "a"}) {
    const auto normal = NormalizeWarmupPath(path);
    ASSERT_FALSE(normal) << path.substr(0, 20);
    EXPECT_EQ(normal.error().code, Errc::kInvalid);
    EXPECT_LT(normal.error().detail.size(), 1000);
  }
  EXPECT_THAT(NormalizeWarmupPath("/mnt/oss/a").error().detail,
              HasSubstr("give one below the mount point"));
}

bool Matches(const std::string& pattern, const std::string& path, const std::string& name) {
  return WarmupFilter::Compile(pattern)->Matches(path, name);
}

TEST(WarmupFilter, IsFoundInTheNameOrInThePathIfItHasASlash) {
  EXPECT_TRUE(Matches("", "a/b", "b"));
  EXPECT_TRUE(Matches(".*_2$", "a_3/b_2", "b_2"));
  EXPECT_FALSE(Matches(".*_2$", "a_2/b_3", "b_3"));
  EXPECT_TRUE(Matches("weight", "a/my-weights.bin", "my-weights.bin")) << "somewhere in it";
  EXPECT_FALSE(Matches("^a", "a/b", "b"));
  EXPECT_TRUE(Matches("^a/", "a/b", "b"));
  EXPECT_FALSE(Matches("^b/", "a/b/c", "c"));
  EXPECT_TRUE(Matches("(?i)\\.BIN$|x/y", "", "a.bin")) << "a file itself has its name alone";
}

double ThreadCpuSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

TEST(WarmupFilter, NoExpressionIsSlowOverManyLongNames) {
  const std::string name(254, 'x');
  struct Case {
    const char* pattern;
    int name_count;
  };
  // Those that take others exponential time, and the largest repetition that RE2 takes, whose time
  // grows with it.
  for (const auto& [pattern, name_count] :
       {Case{"(x+x+)+y", 20'000}, Case{"^(([a-z])+.)+[A-Z]([a-z])+$", 20'000},
        Case{"(x*)*y", 20'000}, Case{"(((((x|xx)*)*)*)*)*y", 20'000},
        Case{"(.*.*.*.*.*.*.*.*)y", 20'000}, Case{"(?:(?:x|xx)?){1000}y", 20}}) {
    const auto filter = WarmupFilter::Compile(pattern);
    ASSERT_TRUE(filter) << filter.error().detail;
    const double begun = ThreadCpuSeconds();
    for (int i = 0; i < name_count; ++i) ASSERT_FALSE(filter->Matches(name, name));
    EXPECT_LT(ThreadCpuSeconds() - begun, 10) << pattern;
    EXPECT_TRUE(filter->Matches("", name + (pattern[0] == '^' ? "Xx" : "y"))) << pattern;
  }
}

TEST(WarmupFilter, ABadExpressionIsRefusedWithTheReason) {
  for (const char* const pattern : {"(", "[a", "*", "(?<n>a)\\1", "a{9999}{9999}"}) {
    const auto filter = WarmupFilter::Compile(pattern);
    ASSERT_FALSE(filter) << pattern;
    EXPECT_EQ(filter.error().code, Errc::kInvalid);
  }
  EXPECT_THAT(WarmupFilter::Compile("a(b").error().detail, HasSubstr("missing )"));
  EXPECT_FALSE(WarmupFilter::Compile(std::string(10'000, 'a')));
}

}  // namespace
}  // namespace shoal
