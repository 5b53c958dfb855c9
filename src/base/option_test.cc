#include "base/option.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

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

TEST(Option, ANumberIsDigitsAndNothingBehindThem) {
  uint64_t number = 7;
  ASSERT_TRUE(ParseValue("1024", number));
  EXPECT_EQ(number, 1024u);
  for (const char* text : {"16K", "", "-1", " 1", "1 ", "18446744073709551616"})
    EXPECT_EQ(ParseValue(text, number).error().code, Errc::kInvalid) << text;
  EXPECT_EQ(ParseValue("16K", number).error().detail, "not a whole number: '16K'");
  EXPECT_EQ(number, 1024u);
}

TEST(Option, YesAndNoHaveThreeNamesEach) {
  for (const char* text : {"true", "yes", "1"}) {
    bool enabled = false;
    EXPECT_TRUE(ParseValue(text, enabled) && enabled) << text;
  }
  for (const char* text : {"false", "no", "0"}) {
    bool enabled = true;
    EXPECT_TRUE(ParseValue(text, enabled) && !enabled) << text;
  }
  bool enabled = true;
  EXPECT_EQ(ParseValue("off", enabled).error().code, Errc::kInvalid);
  EXPECT_TRUE(enabled);
}

TEST(Option, DeclarationsAreVisitedInOrderAndReachTheirMembers) {
  Sample sample;
  std::vector<std::string> shown;
  ForEachOption(kSampleOptions, [&](const auto& option) {
    shown.push_back(std::string(option.name) + "=" + Show(sample.*option.field));
    ASSERT_TRUE(ParseValue("0", sample.*option.field));
  });
  EXPECT_THAT(shown, testing::ElementsAre("size=7", "enabled=true"));
  EXPECT_EQ(sample.size_mib, 0u);
  EXPECT_FALSE(sample.enabled);
}

}  // namespace
}  // namespace shoal
