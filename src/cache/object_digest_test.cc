#include "cache/object_digest.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(ObjectDigest, HexIsTheReferenceProgramsAndComesBack) {
  // `printf shoal | xxhsum -H2`
  const ObjectDigest digest = ObjectDigest::Of("shoal");
  EXPECT_EQ(digest.Hex(), "255c6786d6a5146bcd180c1a7c23cbb2");
  EXPECT_EQ(ObjectDigest::FromHex(digest.Hex()), digest);
  const ObjectDigest small{{0, 0xab}};
  EXPECT_EQ(small.Hex(), "000000000000000000000000000000ab");
  EXPECT_EQ(ObjectDigest::FromHex(small.Hex()), small);
}

TEST(ObjectDigest, WhatIsNotExactly32LowerCaseHexDigitsIsNone) {
  const std::string good = "0123456789abcdef0123456789abcdef";
  ASSERT_TRUE(ObjectDigest::FromHex(good).has_value());
  EXPECT_EQ(ObjectDigest::FromHex(""), std::nullopt);
  EXPECT_EQ(ObjectDigest::FromHex(good.substr(1)), std::nullopt);
  EXPECT_EQ(ObjectDigest::FromHex(good + "0"), std::nullopt);
  for (const char bad : {'A', 'F', 'g', '/', ':', '-', '+', ' ', '\0', '\n', '\xff'}) {
    for (const size_t at : {0U, 15U, 16U, 31U}) {
      std::string hex = good;
      hex[at] = bad;
      EXPECT_EQ(ObjectDigest::FromHex(hex), std::nullopt) << "'" << bad << "' at " << at;
    }
  }
}

TEST(ObjectDigest, DifferentIdentitiesDiffer) {
  EXPECT_NE(ObjectDigest::Of("a"), ObjectDigest::Of("b"));
  EXPECT_NE(ObjectDigest::Of(""), ObjectDigest::Of(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace shoal
