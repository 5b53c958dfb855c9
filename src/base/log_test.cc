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

TEST(Printable, EscapesOverlongFormsSurrogatesAndWhatIsBeyondUnicode) {
  EXPECT_EQ(log::Printable("\xc0\xaf"), "\\xC0\\xAF");
  EXPECT_EQ(log::Printable("\xe0\x9f\xbf"), "\\xE0\\x9F\\xBF");
  EXPECT_EQ(log::Printable("\xf0\x8f\xbf\xbf"), "\\xF0\\x8F\\xBF\\xBF");
  EXPECT_EQ(log::Printable("\xed\xa0\x80"), "\\xED\\xA0\\x80");
  EXPECT_EQ(log::Printable("\xf4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80");
  EXPECT_EQ(log::Printable("\xf5\x80\x80\x80"), "\\xF5\\x80\\x80\\x80");
}

TEST(Printable, KeepsTheFirstAndLastOfEachLength) {
  for (const std::string_view text : {"\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                      "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_EQ(log::Printable(text), text);
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
}

TEST(RecentTrouble, AlikeOnesAreOneAndDisplaceNoOther) {
  log::Error("it is gone");
  for (int i = 0; i < 1000; ++i)
    log::Warn(
        "GetObject 'd/{}': HTTP 500, InternalError, request 5C{}: x; gave up after {} attempts", i,
        i * 7, i % 20);
  log::Warn("GetObject 'd/it's 1': HTTP 503, SlowDown: the bucket's busy");
  const std::vector<log::Event> events = log::RecentTrouble();
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(events.end()[-3].text, "it is gone");
  EXPECT_EQ(events.end()[-2].text,
            "GetObject 'd/999': HTTP 500, InternalError, request 5C6993: x; gave up after 19 "
            "attempts");
  EXPECT_EQ(events.end()[-2].count, 1000U);
  EXPECT_EQ(events.end()[-1].count, 1U);
}

TEST(RecentTrouble, WhatDiffersInMoreThanNumbersIsNotAlike) {
  const size_t before = log::RecentTrouble().size();
  log::Warn("the cache at /disk1: it failed");
  log::Warn("the cache at /disk2: it failed");
  log::Warn("List '': HTTP 502");
  log::Warn("List '': HTTP 504");
  log::Warn("the store's own word");
  log::Warn("the stores' own word");
  EXPECT_EQ(log::RecentTrouble().size(), before + 6);
}

TEST(RecentTrouble, KeepsTheLastHundredKinds) {
  std::string text = "kind ";
  for (int i = 0; i < 200; ++i) log::Warn("{}", text += 'x');
  EXPECT_EQ(log::RecentTrouble().size(), 100U);
  EXPECT_EQ(log::RecentTrouble().back().text, text);
}

}  // namespace
}  // namespace shoal
