#include "base/log.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(Printable, KeepsTextInAnyScript) {
  EXPECT_EQ(log::Printable("数据/ü"), "数据/ü");
}

TEST(Printable, EscapesWhatCouldForgeALineOrMoveACursor) {
  EXPECT_EQ(log::Printable("a\nb\x1b[2J\x7f"), "a\\x0Ab\\x1B[2J\\x7F");
  EXPECT_EQ(log::Printable("\xc2\x9b"), "\\xC2\\x9B");
}

TEST(Printable, EscapesInvalidUtf8) {
  EXPECT_EQ(log::Printable("\xff\xc3"), "\\xFF\\xC3");
}

TEST(LogStart, NamesTheLevelsItKnows) {
  const Result<> started = log::Start(log::Target::kStderr, "loud");
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().detail.find("trace, debug, info, warning, error"), std::string::npos);
}

}  // namespace
}  // namespace shoal
