#include "net/base64.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace shoal {
namespace {

TEST(Base64, BytesAreWrittenAndReadBack) {
  for (const auto& [bytes, text] :
       {std::pair{"", ""}, {"a", "YQ=="}, {"ab", "YWI="}, {"abc", "YWJj"}, {"\xff\xfe", "//4="}}) {
    EXPECT_EQ(Base64(bytes), text);
    EXPECT_EQ(FromBase64(text), bytes);
  }
  for (const char* text : {"YQ", "YQ=", "Y!==", "YWJjY"}) EXPECT_EQ(FromBase64(text), std::nullopt);
}

}  // namespace
}  // namespace shoal
