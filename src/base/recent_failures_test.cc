#include "base/recent_failures.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

constexpr Instant kBegin{std::chrono::seconds(100)};
constexpr Duration kMillisecond = std::chrono::milliseconds(1);
const Error kGone{Errc::kTimedOut, "gone"};

const Error* Find(RecentFailures<std::string>& failures, const std::string& key, Instant now) {
  return failures.Find([&](const std::string& failed) { return failed == key; }, now);
}

TEST(RecentFailures, AreKnownForASecondWhichRepeatsDoNotProlong) {
  RecentFailures<std::string> failures(4);
  failures.Add("a", kGone, kBegin);
  EXPECT_EQ(Find(failures, "b", kBegin), nullptr);
  for (int ms = 0; ms < 1000; ms += 111) {
    const Error* const found = Find(failures, "a", kBegin + ms * kMillisecond);
    ASSERT_NE(found, nullptr) << ms;
    EXPECT_EQ(*found, kGone);
  }
  EXPECT_EQ(Find(failures, "a", kBegin + 1000 * kMillisecond), nullptr);
}

TEST(RecentFailures, AreThoseThatWereNoAnswer) {
  RecentFailures<std::string> failures(4);
  for (const Errc code :
       {Errc::kNotFound, Errc::kDenied, Errc::kArchived, Errc::kInvalid, Errc::kUnsupported,
        Errc::kChanged, Errc::kUnusable, Errc::kInterrupted, Errc::kCorrupt, Errc::kNoSpace}) {
    failures.Add("a", {code, "an answer"}, kBegin);
    EXPECT_EQ(Find(failures, "a", kBegin), nullptr) << static_cast<int>(code);
  }
  for (const Errc code : {Errc::kTimedOut, Errc::kUnreachable, Errc::kBusy}) {
    const std::string key = std::to_string(static_cast<int>(code));
    failures.Add(key, {code, "none"}, kBegin);
    ASSERT_NE(Find(failures, key, kBegin), nullptr) << key;
    EXPECT_EQ(Find(failures, key, kBegin)->code, code);
  }
}

TEST(RecentFailures, OfTooManyTheNewestAreKnown) {
  RecentFailures<std::string> failures(2);
  for (const char* const key : {"a", "b", "c"}) failures.Add(key, kGone, kBegin);
  EXPECT_EQ(Find(failures, "a", kBegin), nullptr);
  EXPECT_NE(Find(failures, "b", kBegin), nullptr);
  EXPECT_NE(Find(failures, "c", kBegin), nullptr);
}

}  // namespace
}  // namespace shoal
