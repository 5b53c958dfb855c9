#include "app/nearest_name.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

const std::vector<std::string_view> kNames = {"ro",          "endpoint",      "protocol",
                                              "passwd_file", "g_oss_STSFile", "g_server_Port"};

TEST(NearestName, FindsANameWithALetterMissingAddedOrChanged) {
  EXPECT_EQ(NearestName("endpont", kNames), "endpoint");
  EXPECT_EQ(NearestName("endpooint", kNames), "endpoint");
  EXPECT_EQ(NearestName("passwd-file", kNames), "passwd_file");
}

TEST(NearestName, LettersInTheWrongCaseCostNothing) {
  EXPECT_EQ(NearestName("G_OSS_stsfile", kNames), "g_oss_STSFile");
}

TEST(NearestName, SuggestsNothingForANameThatIsFarFromAll) {
  EXPECT_EQ(NearestName("kitchen_sink", kNames), "");
  EXPECT_EQ(NearestName("", kNames), "");
  EXPECT_EQ(NearestName(std::string(100'000, 'x'), kNames), "");
}

TEST(NearestName, PrefersTheNearerOfTwo) {
  EXPECT_EQ(NearestName("abd", {"abcd", "abd"}), "abd");
  EXPECT_EQ(NearestName("rp", {"ro", "rq"}), "ro");
}

}  // namespace
}  // namespace shoal
