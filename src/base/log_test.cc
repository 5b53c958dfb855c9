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

TEST(RecentTrouble, KeepsWarningsAndErrorsWhateverTheLevel) {
  ASSERT_TRUE(log::Start(log::Target::kStderr, "error"));
  log::Info("all is well");
  log::Warn("the store is slow: {} s", 3);
  log::Error("it is gone");
  const std::vector<log::Event> events = log::RecentTrouble();
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events.end()[-2].text, "the store is slow: 3 s");
  EXPECT_EQ(events.end()[-2].level, log::Level::kWarning);
  EXPECT_EQ(events.end()[-1].text, "it is gone");
  EXPECT_EQ(events.end()[-1].level, log::Level::kError);
  for (int i = 0; i < 200; ++i) log::Warn("again");
  EXPECT_EQ(log::RecentTrouble().size(), 100U);
}

}  // namespace
}  // namespace shoal
