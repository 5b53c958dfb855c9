#include "base/option.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

struct Sample {
  uint64_t size_mib = 7;
  bool enabled = true;
};
constexpr auto kSampleOptions = std::tuple{
    Option{"size", &Sample::size_mib, Unit::kMebibytes, "How much"},
    Option{"enabled", &Sample::enabled, Unit::kNone, "Whether"},
};

TEST(Option, SetsTheMemberItDeclares) {
  Sample sample;
  ASSERT_TRUE(SetOption(kSampleOptions, sample, "size", "1024"));
  EXPECT_EQ(sample.size_mib, 1024u);
}

TEST(Option, RefusesTextAfterTheNumberAndNamesTheOption) {
  Sample sample;
  const Result<> set = SetOption(kSampleOptions, sample, "size", "16K");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, Errc::kInvalid);
  EXPECT_EQ(set.error().detail, "size: not a whole number: '16K'");
  EXPECT_EQ(sample.size_mib, 7u);
}

TEST(Option, SaysWhenNoOptionHasTheName) {
  Sample sample;
  EXPECT_EQ(SetOption(kSampleOptions, sample, "sise", "1").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace shoal
