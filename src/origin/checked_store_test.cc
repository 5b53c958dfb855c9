#include "origin/checked_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "origin/crc64.h"
#include "testing/fake_clock.h"

namespace shoal {
namespace {

constexpr uint64_t kDigitsCrc64 = 0x995DC9BBDF1939FA;  // of "123456789"
const ObjectVersion kDigits{.key = "digits", .etag = "\"e\"", .size_bytes = 9};

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// As a connection does: into the sink's own memory where it has some.
bool Send(ByteSink& sink, std::string_view text) {
  const std::span<std::byte> room = sink.Room();
  if (room.size() < text.size()) return sink.Append(BytesOf(text));
  std::ranges::copy(BytesOf(text), room.begin());
  return sink.Append(room.first(text.size()));
}

class ScriptedStore final : public ObjectStore {
 public:
  using Script = std::function<Result<GetAnswer>(ByteSink&)>;
  Result<ObjectInfo> Head(std::string_view, Deadline) override { return Fail(Errc::kInvalid, ""); }
  Result<GetAnswer> Get(const ObjectVersion&, ByteRange range, ByteSink& sink, Deadline) override {
    ranges.push_back(range);
    return script(sink);
  }
  Result<ListPage> List(const ListQuery&, Deadline) override { return Fail(Errc::kInvalid, ""); }
  Result<BucketUsage> Usage(Deadline) override { return Fail(Errc::kInvalid, ""); }

  Script script;
  std::vector<ByteRange> ranges;
};

// Keeps what it is sent, and has memory for so much at once.
class KeepingSink final : public ByteSink {
 public:
  explicit KeepingSink(size_t room_bytes) : memory_(room_bytes) {}
  bool Append(std::span<const std::byte> bytes) override {
    if (!bytes.empty()) was_in_place = bytes.data() == memory_.data();
    kept.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return wants_more;
  }
  std::span<std::byte> Room() override { return memory_; }

  std::string kept;
  bool was_in_place = false;
  bool wants_more = true;

 private:
  std::vector<std::byte> memory_;
};

class CheckedStoreTest : public testing::Test {
 protected:
  CheckedStoreTest() {
    auto next = std::make_unique<ScriptedStore>();
    next_ = next.get();
    store_ = std::make_unique<CheckedStore>(std::move(next), clock_);
  }
  // A store that sends `pieces`, and tells that sum; `sink_` has nothing before any of them but
  // what it is then said to have.
  void Serve(std::vector<std::string> pieces, std::optional<uint64_t> crc64) {
    next_->script = [this, pieces = std::move(pieces), crc64](ByteSink& sink) -> Result<GetAnswer> {
      for (const std::string& piece : pieces) {
        kept_before_ += sink_.kept + "|";
        if (!Send(sink, piece)) return Fail(Errc::kInterrupted, "no more");
      }
      return GetAnswer{.crc64 = crc64, .request_id = "R1"};
    };
  }
  Result<GetAnswer> Get(const ObjectVersion& version = kDigits, ByteRange range = {0, 9}) {
    return store_->Get(version, range, sink_, {});
  }

  FakeClock clock_;
  ScriptedStore* next_;
  std::unique_ptr<CheckedStore> store_;
  KeepingSink sink_{2 * kMiB};
  std::string kept_before_;  // each piece was sent
};

TEST(Crc64, IsThatOfTheCatalogue) {
  EXPECT_EQ(Crc64(0, BytesOf("123456789")), kDigitsCrc64);
  EXPECT_EQ(Crc64(Crc64(0, BytesOf("1234")), BytesOf("56789")), kDigitsCrc64);
  EXPECT_EQ(Crc64(0, {}), 0U);
}

TEST_F(CheckedStoreTest, WhatIsRightIsGivenOutOnceAllOfItCame) {
  Serve({"1234", "56789"}, kDigitsCrc64);
  ASSERT_TRUE(Get());
  EXPECT_EQ(kept_before_, "||");
  EXPECT_EQ(sink_.kept, "123456789");
  EXPECT_TRUE(sink_.was_in_place);
}

TEST_F(CheckedStoreTest, WhatIsWrongIsAskedForAgainAndSeenByNobody) {
  Serve({"1234", "56798"}, kDigitsCrc64);
  const auto wrong = next_->script;
  next_->script = [&, wrong](ByteSink& sink) {
    auto answer = wrong(sink);
    Serve({"123456789"}, kDigitsCrc64);
    return answer;
  };
  ASSERT_TRUE(Get());
  EXPECT_EQ(sink_.kept, "123456789");
  EXPECT_EQ(next_->ranges, (std::vector<ByteRange>{{0, 9}, {0, 9}}));
}

TEST_F(CheckedStoreTest, WhatDiffersEachTimeFailsAndNothingOfItIsGivenOut) {
  Serve({"123456789"}, 7);
  EXPECT_EQ(Get().error(),
            (Error{Errc::kUnusable,
                   "GetObject 'digits': what came is not the object: its CRC-64 is "
                   "11051210869376104954, and the object's 7 (request R1); gave up after 3 "
                   "attempts"}));
  EXPECT_EQ(sink_.kept, "");
  EXPECT_EQ(next_->ranges.size(), 3U);
}

TEST_F(CheckedStoreTest, OfWhatDifferedAPartIsGivenOutOnlyIfAllOfItIsRight) {
  const auto part = [&](const ObjectVersion& version) { return Get(version, {2, 3}); };
  Serve({"123456798"}, kDigitsCrc64);
  const Error differs = Get().error();
  next_->ranges.clear();
  EXPECT_EQ(part(kDigits).error(), differs);
  EXPECT_EQ(next_->ranges, (std::vector<ByteRange>(3, {0, 9})));
  EXPECT_EQ(sink_.kept, "");

  Serve({"12345", "6789"}, kDigitsCrc64);
  EXPECT_TRUE(part(kDigits));
  EXPECT_EQ(sink_.kept, "345");
  next_->ranges.clear();
  EXPECT_TRUE(part(kDigits)) << "it is trusted again";
  EXPECT_EQ(next_->ranges, (std::vector<ByteRange>{{2, 3}}));
}

TEST_F(CheckedStoreTest, AVersionIsDoubtedForAMinuteAndNoOther) {
  Serve({"123456789"}, 7);
  EXPECT_FALSE(Get());
  const auto asked_for_a_part_of = [&](const ObjectVersion& version) {
    next_->ranges.clear();
    (void)Get(version, {2, 3});
    return next_->ranges.front();
  };
  const ByteRange part = {2, 3}, all = {0, 9};
  EXPECT_EQ(asked_for_a_part_of({.key = "digits", .etag = "newer", .size_bytes = 9}), part);
  clock_.Advance(CheckedStore::kDoubtedFor - std::chrono::milliseconds(1));
  EXPECT_EQ(asked_for_a_part_of(kDigits), all)
      << "which differs, and is doubted for another minute";
  clock_.Advance(CheckedStore::kDoubtedFor - std::chrono::milliseconds(1));
  EXPECT_EQ(asked_for_a_part_of(kDigits), all);
  clock_.Advance(CheckedStore::kDoubtedFor);
  EXPECT_EQ(asked_for_a_part_of(kDigits), part);
}

TEST_F(CheckedStoreTest, OfWhatIsDoubtedNothingIsPassedOnThatIsNotCompared) {
  Serve({"123456789"}, 7);
  EXPECT_FALSE(Get());
  next_->script = [&](ByteSink& sink) -> Result<GetAnswer> {
    EXPECT_TRUE(Send(sink, "1234"));
    clock_.Advance(CheckedStore::kHeldTimeMax * 2);
    EXPECT_TRUE(Send(sink, "5"));
    return Fail(Errc::kTimedOut, "cut");
  };
  EXPECT_EQ(Get().error().code, Errc::kTimedOut);
  Serve({"123456789"}, std::nullopt);
  EXPECT_EQ(Get().error().code, Errc::kUnusable) << "no checksum is told";
  EXPECT_EQ(sink_.kept, "");
}

TEST_F(CheckedStoreTest, NorOfTheNextAttemptAtWhatDiffered) {
  Serve({"123456789"}, 7);
  next_->script = [wrong = next_->script, attempt_count = 0](ByteSink& sink) mutable {
    if (++attempt_count == 1) return wrong(sink);
    EXPECT_TRUE(Send(sink, "12"));
    return Result<GetAnswer>(Fail(Errc::kTimedOut, "cut"));
  };
  EXPECT_EQ(Get().error().code, Errc::kTimedOut);
  EXPECT_EQ(sink_.kept, "");
}

TEST_F(CheckedStoreTest, AsManyBytesAsItSaysAreHeldBack) {
  const std::string text(CheckedStore::kHeldBytesMax, 'x');
  Serve({text.substr(1), "x"}, Crc64(0, BytesOf(text)));
  ASSERT_TRUE(Get({.key = "k", .etag = "", .size_bytes = text.size()}, {0, text.size()}));
  EXPECT_EQ(kept_before_, "||");
  EXPECT_EQ(sink_.kept, text);
}

TEST_F(CheckedStoreTest, OfManyThatDifferedTheNewestAreDoubted) {
  const auto number = [](size_t i) {
    return ObjectVersion{.key = std::to_string(i), .etag = "", .size_bytes = 9};
  };
  Serve({"123456789"}, 7);
  for (size_t i = 0; i <= CheckedStore::kDoubtedCountMax; ++i) EXPECT_FALSE(Get(number(i)));
  EXPECT_TRUE(Get(number(0), {2, 3}));
  for (size_t i = 1; i <= CheckedStore::kDoubtedCountMax; ++i)
    EXPECT_FALSE(Get(number(i), {2, 3})) << i;
}

TEST_F(CheckedStoreTest, ItIsNotAskedForAgainOnceTheDeadlinePassed) {
  Serve({"123456789"}, 7);
  const auto deadline = Deadline::After(clock_, std::chrono::seconds(1));
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(store_->Get(kDigits, {0, 9}, sink_, deadline).error().code, Errc::kUnusable);
  EXPECT_EQ(next_->ranges.size(), 1U);
}

TEST_F(CheckedStoreTest, WithoutAChecksumAllIsBelieved) {
  Serve({"12345", "6789"}, std::nullopt);
  ASSERT_TRUE(Get());
  EXPECT_EQ(sink_.kept, "123456789");
}

TEST_F(CheckedStoreTest, APartALargeObjectAndWhatThereIsNoRoomForArePassedOnAsTheyCome) {
  Serve({"12", "34"}, 7);
  ASSERT_TRUE(Get(kDigits, {0, 4}));
  EXPECT_EQ(kept_before_, "|12|");

  sink_.kept.clear();
  kept_before_.clear();
  ASSERT_TRUE(Get({.key = "k", .etag = "", .size_bytes = CheckedStore::kHeldBytesMax + 1},
                  {0, CheckedStore::kHeldBytesMax + 1}));
  EXPECT_EQ(kept_before_, "|12|");

  KeepingSink little(CheckedStore::kOwnBytesMax);
  next_->script = [&](ByteSink& sink) -> Result<GetAnswer> {
    EXPECT_TRUE(Send(sink, "12"));
    EXPECT_EQ(little.kept, "12");
    return GetAnswer{.crc64 = 7};
  };
  const uint64_t too_many = CheckedStore::kOwnBytesMax + 1;
  ASSERT_TRUE(
      store_->Get({.key = "k", .etag = "", .size_bytes = too_many}, {0, too_many}, little, {}));
}

TEST_F(CheckedStoreTest, WhatIsSmallIsHeldInMemoryOfItsOwnWhereTheReaderHasNone) {
  for (const uint64_t told : {kDigitsCrc64, uint64_t{7}}) {
    KeepingSink little(3);
    next_->script = [&](ByteSink& sink) -> Result<GetAnswer> {
      for (const char* piece : {"12", "34", "56789"}) {
        EXPECT_TRUE(Send(sink, piece));
        EXPECT_EQ(little.kept, "");
      }
      return GetAnswer{.crc64 = told};
    };
    const bool is_right = told == kDigitsCrc64;
    EXPECT_EQ(store_->Get(kDigits, {0, 9}, little, {}).has_value(), is_right);
    EXPECT_EQ(little.kept, is_right ? "123456789" : "");
  }
}

TEST_F(CheckedStoreTest, WhatCameOfACallThatFailedIsPassedOn) {
  next_->script = [&](ByteSink& sink) -> Result<GetAnswer> {
    EXPECT_TRUE(Send(sink, "12"));
    EXPECT_TRUE(Send(sink, "34"));
    EXPECT_EQ(sink_.kept, "");
    return Fail(Errc::kTimedOut, "cut");
  };
  EXPECT_EQ(Get().error(), (Error{Errc::kTimedOut, "cut"}));
  EXPECT_EQ(sink_.kept, "1234");
}

TEST_F(CheckedStoreTest, WhatComesSlowlyIsPassedOnAsItComes) {
  next_->script = [&](ByteSink& sink) -> Result<GetAnswer> {
    EXPECT_TRUE(Send(sink, "12"));
    clock_.Advance(CheckedStore::kHeldTimeMax);
    EXPECT_TRUE(Send(sink, "34"));
    EXPECT_EQ(sink_.kept, "");
    clock_.Advance(std::chrono::milliseconds(1));
    EXPECT_TRUE(Send(sink, "5"));
    EXPECT_EQ(sink_.kept, "12345");
    EXPECT_TRUE(Send(sink, "67"));
    EXPECT_EQ(sink_.kept, "1234567");
    EXPECT_TRUE(Send(sink, "89"));
    return GetAnswer{.crc64 = 7};
  };
  ASSERT_TRUE(Get()) << "it could not be taken back";
  EXPECT_EQ(sink_.kept, "123456789");
  EXPECT_EQ(next_->ranges.size(), 1U);
}

TEST_F(CheckedStoreTest, ItEndsOnceNobodyWantsWhatIsHeldBack) {
  Serve({"12", "34", "56789"}, kDigitsCrc64);
  sink_.wants_more = false;
  EXPECT_EQ(Get().error().code, Errc::kInterrupted);
  EXPECT_EQ(kept_before_, "|");
  EXPECT_EQ(sink_.kept, "") << "or a cache would keep it";
}

}  // namespace
}  // namespace shoal
