// The embedded origin's decisions, as functions of values.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>

#include "origin/text_values.h"
#include "testing/fake_clock.h"
#include "testing/origin_body.h"
#include "testing/origin_bucket.h"
#include "testing/origin_listing.h"
#include "testing/origin_range.h"
#include "testing/origin_trouble.h"

namespace shoal::embedded {
namespace {

std::string Range(std::string_view header, uint64_t size_bytes, bool standard) {
  const auto chosen = ChooseRange(header, size_bytes, standard);
  if (!chosen) return std::to_string(chosen.error().status);
  return std::to_string(chosen->status) + " " + std::to_string(chosen->range.offset) + "+" +
         std::to_string(chosen->range.length);
}

TEST(OriginRange, OssIgnoresARangeThatIsNotWhollyInside) {
  EXPECT_EQ(Range("bytes=0-999", 1000, false), "206 0+1000");
  EXPECT_EQ(Range("bytes=500-", 1000, false), "206 500+500");
  EXPECT_EQ(Range("bytes=-500", 1000, false), "206 500+500");
  EXPECT_EQ(Range("bytes=0-1000", 1000, false), "200 0+1000");
  EXPECT_EQ(Range("bytes=1000-2000", 1000, false), "200 0+1000");
  EXPECT_EQ(Range("bytes=1000-", 1000, false), "200 0+1000");
  EXPECT_EQ(Range("bytes=-2000", 1000, false), "200 0+1000");
}

TEST(OriginRange, TheStandardRuleCutsOrRefuses) {
  EXPECT_EQ(Range("bytes=0-1000", 1000, true), "206 0+1000");
  EXPECT_EQ(Range("bytes=999-5000", 1000, true), "206 999+1");
  EXPECT_EQ(Range("bytes=1000-2000", 1000, true), "416");
  EXPECT_EQ(Range("bytes=1000-", 1000, true), "416");
  EXPECT_EQ(Range("bytes=-2000", 1000, true), "206 0+1000");
  EXPECT_EQ(Range("bytes=-0", 1000, true), "416");
  EXPECT_EQ(Range("bytes=0-0", 0, true), "416");
  EXPECT_EQ(Range("bytes=5-99999999999999999999999", 1000, true), "206 5+995");
}

TEST(OriginRange, WhatIsNoRangeIsIgnoredAndTheFirstOfSeveralCounts) {
  for (const char* header : {"", "byte=0-4", "bytes=4-2", "bytes=a-b", "bytes=-", "bytes=1-x"})
    EXPECT_EQ(Range(header, 1000, true), "200 0+1000") << header;
  EXPECT_EQ(Range("bytes=0-4,6-9", 1000, true), "206 0+5");
}

TEST(OriginRange, DatesAreReadAsTheyAreWritten) {
  EXPECT_EQ(HttpDate(1445412480), "Wed, 21 Oct 2015 07:28:00 GMT");
  EXPECT_EQ(ParseHttpDate("Wed, 21 Oct 2015 07:28:00 GMT"), 1445412480);
  EXPECT_EQ(ParseIsoDate("20151021T072800Z"), 1445412480);
  EXPECT_EQ(ParseIsoDate("2015-10-21T07:28:00Z"), 1445412480);
  EXPECT_EQ(ParseIsoDate("yesterday"), -1);
}

TEST(OriginListing, PagesTogetherAreWhatASimpleModelLists) {
  std::mt19937 random(7);
  const std::string alphabet = std::string("ab/.") + '\xff';
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> keys;
    for (int i = 0; i < 40; ++i) {
      std::string key;
      for (size_t length = 1 + random() % 5; length > 0; --length)
        key += alphabet[random() % alphabet.size()];
      keys.insert(key);
    }
    KeyQuery query;
    if (random() % 2 == 0) query.prefix = keys.begin()->substr(0, 1 + random() % 2);
    query.delimiter = std::vector<std::string>{"", "/", "a", "b/"}[random() % 4];
    if (random() % 3 == 0)
      query.after = *std::next(keys.begin(), static_cast<long>(random() % keys.size()));
    // The model: group every key that qualifies, and put what results in order.
    std::set<std::string> expected;
    for (const std::string& key : keys) {
      if (!key.starts_with(query.prefix)) continue;
      std::string shown = key;
      if (!query.delimiter.empty()) {
        const size_t cut = key.find(query.delimiter, query.prefix.size());
        if (cut != std::string::npos) shown = key.substr(0, cut + query.delimiter.size());
      }
      if (shown > query.after) expected.insert(shown);
    }
    query.count_max = 1 + random() % 5;
    std::vector<std::string> listed;
    bool more = true;
    while (more) {
      const KeyPage page = ListKeys(
          [&](std::string_view from) -> std::optional<std::string> {
            const auto at = keys.lower_bound(std::string(from));
            return at == keys.end() ? std::nullopt : std::optional(*at);
          },
          query);
      std::vector<std::string> shown = page.keys;
      shown.insert(shown.end(), page.common_prefixes.begin(), page.common_prefixes.end());
      ASSERT_LE(shown.size(), query.count_max);
      std::ranges::sort(shown);
      listed.insert(listed.end(), shown.begin(), shown.end());
      query.after = page.last;
      more = page.truncated;
    }
    EXPECT_EQ(listed, std::vector<std::string>(expected.begin(), expected.end()));
  }
}

TEST(OriginPacer, ManySendersTogetherKeepTheRateWithinTwoPercent) {
  constexpr uint64_t kRate = 100'000'000;
  constexpr uint64_t kPiece = 256 << 10;
  FakeClock clock;
  clock.Advance(std::chrono::hours(1));
  Pacer pacer;
  const Instant start = clock.Now();
  std::mt19937 random(1);
  uint64_t sent = 0;
  // Senders wake late, by up to 3 ms, and are let go on at the same moment.
  std::vector<Instant> wakes(8, start);
  while (clock.Now() - start < std::chrono::seconds(10)) {
    const auto next = std::ranges::min_element(wakes);
    if (*next > clock.Now()) clock.Advance(*next - clock.Now());
    const Instant at = pacer.Reserve(clock.Now(), kPiece, kRate);
    sent += kPiece;
    *next = std::max(at, clock.Now()) + std::chrono::microseconds(random() % 3000);
  }
  const double expected = kRate * 10.0;
  EXPECT_NEAR(static_cast<double>(sent), expected, expected * 0.02);
}

TEST(OriginPacer, IdleTimeIsNotSavedUp) {
  FakeClock clock;
  clock.Advance(std::chrono::hours(1));
  Pacer pacer;
  static_cast<void>(pacer.Reserve(clock.Now(), 1000, 1000));
  clock.Advance(std::chrono::hours(1));
  const Instant now = clock.Now();
  EXPECT_EQ(pacer.Reserve(now, 1000, 1000), now - Pacer::kCatchUp);
  EXPECT_EQ(pacer.Reserve(now, 1000, 1000), now - Pacer::kCatchUp + std::chrono::seconds(1));
}

TEST(OriginTrouble, FaultsMatchAndRunOut) {
  Trouble trouble;
  ASSERT_TRUE(trouble.Apply(R"({"faults": [
    {"match": {"op": "Get", "key_prefix": "a/"}, "kind": "cut_after_bytes", "bytes": 7, "count": 2}]})"));
  EXPECT_FALSE(trouble.Pick(Operation::kHead, "a/x"));
  EXPECT_FALSE(trouble.Pick(Operation::kGet, "b/x"));
  for (int i = 0; i < 2; ++i) {
    const auto fault = trouble.Pick(Operation::kGet, "a/x");
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, FaultKind::kCutAfterBytes);
    EXPECT_EQ(fault->bytes, 7U);
  }
  EXPECT_FALSE(trouble.Pick(Operation::kGet, "a/x"));
}

TEST(OriginTrouble, ASeedGivesTheSameFaultsAgainAtAboutTheirProbability) {
  Trouble trouble;
  const auto run = [&] {
    EXPECT_TRUE(
        trouble.Apply(R"({"seed": 5, "faults": [{"kind": "status503", "probability": 0.1}]})"));
    std::vector<bool> hits;
    for (int i = 0; i < 2000; ++i) hits.push_back(trouble.Pick(Operation::kGet, "k").has_value());
    return hits;
  };
  const auto first = run();
  EXPECT_EQ(first, run());
  EXPECT_NEAR(static_cast<double>(std::ranges::count(first, true)), 200, 40);
}

TEST(OriginTrouble, AConfigOfNoUseChangesNothingAndSaysWhy) {
  Trouble trouble;
  ASSERT_TRUE(trouble.Apply(R"({"latency_ms": 3})"));
  for (const char* text : {"{", "[]", R"({"latency": 1})", R"({"latency_ms": -1})",
                           R"({"faults": [{"kind": "nonsense"}]})",
                           R"({"faults": [{"kind": "hang", "match": {"op": "Fetch"}}]})"}) {
    const auto applied = trouble.Apply(text);
    ASSERT_FALSE(applied) << text;
    EXPECT_EQ(applied.error().code, Errc::kInvalid);
    EXPECT_FALSE(applied.error().detail.empty());
  }
  EXPECT_EQ(trouble.latency_ms(), 3U);
}

TEST(OriginBucket, OnlyOrdinaryPathsAreFileNames) {
  for (const char* key : {"a", "a/b", "a b", "...", "a/.b", "\xff"}) EXPECT_TRUE(FitsFileName(key));
  for (const std::string& key :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string("a/../b"), std::string(".."), std::string(256, 'n'), std::string("a\0b", 3),
        std::string(".shoal-origin/records"), std::string(".shoal-origin")})
    EXPECT_FALSE(FitsFileName(key)) << key;
}

// A body that arrives in pieces of one size.
class TextBody final : public RequestBody {
 public:
  TextBody(std::string text, size_t piece) : text_(std::move(text)), piece_(piece) {}
  ServiceResult<size_t> Read(std::span<std::byte> out) override {
    const size_t size = std::min({out.size(), piece_, text_.size() - at_});
    std::memcpy(out.data(), text_.data() + at_, size);
    at_ += size;
    return size;
  }

 private:
  const std::string text_;
  const size_t piece_;
  size_t at_ = 0;
};

TEST(OriginBody, AwsChunkedIsTakenOffHoweverItIsCut) {
  const std::string text =
      "5;chunk-signature=00\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
  for (size_t piece = 1; piece < text.size(); ++piece) {
    TextBody raw(text, piece);
    OriginRequest request;
    request.headers = {{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
                       {"x-amz-trailer", "x-amz-checksum-crc32"}};
    CheckedBody body(raw, request);
    EXPECT_EQ(ReadAll(body, 100), "hello world");
  }
}

TEST(OriginBody, AwsChunkedThatIsCutShortOrChangedIsRefused) {
  const std::string text =
      "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
  OriginRequest request;
  request.headers = {{"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
                     {"x-amz-trailer", "x-amz-checksum-crc32"}};
  const size_t last_piece = text.find("\r\n0\r\n") + 5;
  for (size_t length = 0; length < last_piece; ++length) {
    TextBody raw(text.substr(0, length), 1000);
    CheckedBody body(raw, request);
    EXPECT_FALSE(ReadAll(body, 100)) << length;
  }
  std::string changed = text;
  changed[text.find("world")] = 'W';
  TextBody raw(changed, 1000);
  CheckedBody body(raw, request);
  const auto read = ReadAll(body, 100);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, "BadDigest");
}

}  // namespace
}  // namespace shoal::embedded
