#include "control/admin_query.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

using Parameters = std::map<std::string, std::string, std::less<>>;

HttpCall Get(std::string target) {
  return {.method = "GET", .target = std::move(target)};
}

TEST(AdminQuery, TakesATargetApart) {
  const auto query =
      ParseAdminQuery(Get("/v1/a?target_path=a%2Fb%20c,d&pattern=.+%5C.bin&empty=&flag"));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->path, "/v1/a");
  EXPECT_EQ(query->parameters,
            (Parameters{
                {"target_path", "a/b c,d"}, {"pattern", ".+\\.bin"}, {"empty", ""}, {"flag", ""}}));
  EXPECT_EQ(*query->Find("empty"), "");
  EXPECT_EQ(query->Find("other"), nullptr);
}

TEST(AdminQuery, TakesATargetWithoutParameters) {
  for (const char* target : {"/v1/tier", "/v1/tier?", "/v1/tier?&&", "/v1/tier#x?a=b"})
    EXPECT_EQ(ParseAdminQuery(Get(target))->parameters, Parameters{}) << target;
}

TEST(AdminQuery, TakesTheFormOfAPostWhereAPlusIsASpace) {
  HttpCall call{.method = "POST",
                .target = "/p?x=1+1",
                .headers = {{"content-type", "Application/X-WWW-form-urlencoded; charset=utf-8"}},
                .body = "target_path=a+b%2Bc"};
  EXPECT_EQ(ParseAdminQuery(call)->parameters,
            (Parameters{{"x", "1+1"}, {"target_path", "a b+c"}}));
  call.headers["content-type"] = "application/json";
  EXPECT_EQ(ParseAdminQuery(call)->parameters, (Parameters{{"x", "1+1"}}));
}

TEST(AdminQuery, KeepsANulByteForThoseWhoJudgePaths) {
  EXPECT_EQ(*ParseAdminQuery(Get("/p?target_path=a%00b"))->Find("target_path"),
            std::string("a\0b", 3));
}

TEST(AdminQuery, SaysWhatToMendInBadParameters) {
  const std::string percent = "a % without two hexadecimal digits behind it; a percent sign is %25";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/p?a=%", percent},
      {"/p?a=%4", percent},
      {"/p?a=%zz", percent},
      {"/p?a=%-1", percent},
      {"/p?%f=1", percent},
      {"/p?a=1&a=2",
       "a: given twice; several paths go into one target_path, with commas between them"},
      {"/p?a=1&%61=2",
       "a: given twice; several paths go into one target_path, with commas between them"},
  };
  for (const auto& [target, reason] : cases)
    EXPECT_EQ(ParseAdminQuery(Get(target)).error(), (Error{Errc::kInvalid, reason})) << target;
  std::string many = "/p?";
  for (int i = 0; i < 17; ++i) many += "a" + std::to_string(i) + "=&";
  EXPECT_EQ(ParseAdminQuery(Get(many)).error().detail, "too many parameters");
}

}  // namespace
}  // namespace shoal
