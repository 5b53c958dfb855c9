#include "base/option_list.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using Options = std::vector<ListedOption>;

Options Split(std::string_view text) {
  auto result = SplitOptionList(text);
  EXPECT_TRUE(result) << text;
  return result ? *result : Options{};
}

TEST(OptionList, TakesWordsAndValuesApartAtCommas) {
  EXPECT_EQ(Split("efc,protocol=oss,ro"), (Options{{"efc", {}}, {"protocol", "oss"}, {"ro", {}}}));
}

TEST(OptionList, OnlyTheFirstEqualsSignSeparates) {
  EXPECT_EQ(Split("endpoint=http://h/?a=b"), (Options{{"endpoint", "http://h/?a=b"}}));
}

TEST(OptionList, AValueMayBeEmptyAndEmptyItemsAreNothing) {
  EXPECT_EQ(Split(",region=,,ro,"), (Options{{"region", ""}, {"ro", {}}}));
  EXPECT_EQ(Split(""), Options{});
  EXPECT_EQ(Split("=x"), (Options{{"", "x"}}));
}

TEST(OptionList, ACommaOfAValueIsEscapedOrQuoted) {
  EXPECT_EQ(Split("passwd_file=/a\\,b,ro"), (Options{{"passwd_file", "/a,b"}, {"ro", {}}}));
  EXPECT_EQ(Split("passwd_file=\"/a,b\",ro"), (Options{{"passwd_file", "/a,b"}, {"ro", {}}}));
  EXPECT_EQ(Split("a=\\\"x\\\\,b=c\\d"), (Options{{"a", "\"x\\"}, {"b", "c\\d"}}));
  EXPECT_EQ(Split("a=x\\"), (Options{{"a", "x\\"}}));
}

TEST(OptionList, AQuoteThatDoesNotEndIsRefused) {
  auto result = SplitOptionList("a=\"x,b");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::kInvalid, "-o: a double quote does not end"}));
}

TEST(OptionList, WhatIsJoinedSplitsIntoTheSame) {
  const std::vector<ListedOption> list = {
      {"efc", std::nullopt}, {"a", ""}, {"b", "1,2"}, {"c", R"("q" \ \x)"}, {"d", "x=y"}};
  const auto split = SplitOptionList(JoinOptionList(list));
  ASSERT_TRUE(split);
  EXPECT_EQ(*split, list);
  EXPECT_EQ(JoinOptionList({}), "");
}

}  // namespace
}  // namespace shoal
