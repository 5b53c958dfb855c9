#include "origin/retrying_store.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/log.h"
#include "testing/fake_clock.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Answers each call with the next line of its script.
class ScriptedStore final : public ObjectStore {
 public:
  struct Step {
    std::optional<Errc> failure{};  // after the bytes
    uint64_t sent_bytes = UINT64_MAX;
  };

  explicit ScriptedStore(FakeClock& clock) : clock_(clock) {}

  Result<ObjectInfo> Head(std::string_view key, Deadline deadline) override {
    if (hangs_with_less_than > deadline.Remaining(clock_)) {
      ++call_count;
      clock_.Advance(deadline.Remaining(clock_));
      return Fail(Errc::kTimedOut, "cut short");
    }
    RETURN_IF_ERROR(Take());
    return ObjectInfo{.version = {.key = std::string(key), .etag = "e", .size_bytes = 1}};
  }
  Result<GetAnswer> Get(const ObjectVersion& version, ByteRange range, ByteSink& sink,
                        Deadline) override {
    ranges.push_back(range);
    etags.push_back(version.etag);
    const uint64_t end = range.offset + std::min(range.length, steps.front().sent_bytes);
    for (uint64_t i = range.offset; i < end; ++i) {
      const auto byte = static_cast<std::byte>(i);
      if (!sink.Append({&byte, 1})) return Fail(Errc::kInterrupted, "stopped");
    }
    RETURN_IF_ERROR(Take());
    return GetAnswer{.crc64 = 7, .request_id = std::to_string(call_count)};
  }
  Result<ListPage> List(const ListQuery&, Deadline) override {
    RETURN_IF_ERROR(Take());
    return ListPage{};
  }
  Result<BucketUsage> Usage(Deadline) override {
    RETURN_IF_ERROR(Take());
    return BucketUsage{};
  }

  std::deque<Step> steps;
  std::vector<ByteRange> ranges;
  std::vector<std::string> etags;
  int call_count = 0;
  Duration hangs_with_less_than{};

 private:
  FakeClock& clock_;

  Result<> Take() {
    ++call_count;
    const Step step = steps.front();
    if (steps.size() > 1) steps.pop_front();  // the last repeats
    if (step.failure) return Fail(*step.failure, "failure " + std::to_string(call_count));
    return {};
  }
};

class KeepBytes final : public ByteSink {
 public:
  bool Append(std::span<const std::byte> bytes) override {
    if (kept.size() >= wanted_bytes) return false;
    for (const std::byte byte : bytes) kept.push_back(static_cast<uint8_t>(byte));
    return true;
  }
  size_t wanted_bytes = SIZE_MAX;
  std::vector<uint8_t> kept;
};

class RetryingStoreTest : public testing::Test {
 protected:
  RetryingStoreTest() {
    auto scripted = std::make_unique<ScriptedStore>(clock_);
    script_ = scripted.get();
    store_ = std::make_unique<RetryingStore>(std::move(scripted), RetryPolicy{},
                                             RetryingStore::Waiting{.sleep =
                                                                        [this](Duration wait) {
                                                                          slept_.push_back(wait);
                                                                          clock_.Advance(wait);
                                                                        },
                                                                    .chance = [] { return 1.0; }},
                                             quiet_time_, clock_);
  }
  [[nodiscard]] Deadline In(Duration wait) const { return Deadline::After(clock_, wait); }

  FakeClock clock_;
  std::shared_ptr<QuietTime> quiet_time_ = std::make_shared<QuietTime>();
  std::vector<Duration> slept_;
  ScriptedStore* script_ = nullptr;
  std::unique_ptr<RetryingStore> store_;
};

TEST_F(RetryingStoreTest, TriesAgainWithABackOffThatDoubles) {
  script_->steps = {{Errc::kBusy}, {Errc::kUnreachable}, {Errc::kTimedOut}, {}};
  EXPECT_EQ(store_->Head("k", In(seconds(20))).value().version.key, "k");
  EXPECT_EQ(slept_,
            (std::vector<Duration>{milliseconds(50), milliseconds(100), milliseconds(200)}));
  EXPECT_EQ(script_->call_count, 4);
}

TEST_F(RetryingStoreTest, EveryOperationIsTriedAgain) {
  script_->steps = {{Errc::kBusy}, {}};
  EXPECT_TRUE(store_->List({}, In(seconds(20))));
  script_->steps = {{Errc::kBusy}, {}};
  EXPECT_TRUE(store_->Usage(In(seconds(20))));
  EXPECT_EQ(script_->call_count, 4);
}

TEST_F(RetryingStoreTest, WhatCannotGetBetterIsFinal) {
  for (const Errc code : {Errc::kNotFound, Errc::kDenied, Errc::kChanged, Errc::kInvalid,
                          Errc::kInterrupted, Errc::kArchived, Errc::kUnsupported}) {
    script_->call_count = 0;
    script_->steps = {{code}};
    EXPECT_EQ(store_->Head("k", In(seconds(20))).error(), (Error{code, "failure 1"}));
  }
  EXPECT_EQ(slept_, std::vector<Duration>{});
}

TEST_F(RetryingStoreTest, AGetGoesOnAfterTheLastByteTaken) {
  script_->steps = {{Errc::kUnreachable, 3}, {Errc::kUnreachable, 0}, {Errc::kTimedOut, 2}, {}};
  KeepBytes sink;
  const auto answer = store_->Get({"k", "\"e\"", 100}, {10, 8}, sink, In(seconds(20)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->crc64, 7U);
  EXPECT_EQ(answer->request_id, "4");
  EXPECT_EQ(sink.kept, (std::vector<uint8_t>{10, 11, 12, 13, 14, 15, 16, 17}));
  EXPECT_EQ(script_->ranges, (std::vector<ByteRange>{{10, 8}, {13, 5}, {13, 5}, {15, 3}}));
  EXPECT_EQ(script_->etags, (std::vector<std::string>(4, "\"e\"")));
  // Bytes begin the back-off anew.
  EXPECT_EQ(slept_, (std::vector<Duration>{milliseconds(50), milliseconds(100), milliseconds(50)}));
}

TEST_F(RetryingStoreTest, AGetThatBrokeAfterItsLastByteIsDone) {
  script_->steps = {{Errc::kUnreachable, 8}};
  KeepBytes sink;
  ASSERT_TRUE(store_->Get({"k", "e", 100}, {0, 8}, sink, In(seconds(20))));
  EXPECT_EQ(script_->ranges, (std::vector<ByteRange>{{0, 8}}));
}

TEST_F(RetryingStoreTest, AChangeInTheMiddleOfAGetIsFinal) {
  script_->steps = {{Errc::kUnreachable, 3}, {Errc::kChanged, 0}};
  KeepBytes sink;
  EXPECT_EQ(store_->Get({"k", "e", 100}, {0, 8}, sink, In(seconds(20))).error(),
            (Error{Errc::kChanged, "failure 2"}));
}

TEST_F(RetryingStoreTest, ASinkThatWantsNoMoreIsNotAskedAgain) {
  script_->steps = {{}};
  KeepBytes sink;
  sink.wanted_bytes = 3;
  EXPECT_EQ(store_->Get({"k", "e", 100}, {0, 8}, sink, In(seconds(20))).error().code,
            Errc::kInterrupted);
  EXPECT_EQ(sink.kept, (std::vector<uint8_t>{0, 1, 2}));
  EXPECT_EQ(script_->ranges.size(), 1u);
}

TEST_F(RetryingStoreTest, TheDeadlineEndsTheAttemptsWithTheLastReason) {
  script_->steps = {{Errc::kBusy}};
  const auto outcome = store_->Head("k", In(seconds(1)));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kTimedOut);
  const std::string count = std::to_string(script_->call_count);
  EXPECT_EQ(outcome.error().detail, "failure " + count + "; gave up after " + count + " attempts");
  EXPECT_LE(clock_.Now(), Instant(seconds(1)));
  EXPECT_GE(clock_.Now(), Instant(milliseconds(980)));
}

TEST_F(RetryingStoreTest, AnUnreachableStoreStaysUnreachableAtTheDeadline) {
  script_->steps = {{Errc::kUnreachable}};
  EXPECT_EQ(store_->Head("k", {}).error().code, Errc::kUnreachable);
  EXPECT_LE(clock_.Now(), Instant(seconds(30)));  // the policy's own bound
}

TEST_F(RetryingStoreTest, ALastAttemptThatWasCutShortDoesNotHideTheReason) {
  script_->hangs_with_less_than = milliseconds(100);
  script_->steps = {{Errc::kUnreachable}};
  const auto outcome = store_->Head("k", In(seconds(10)));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(clock_.Now(), Instant(seconds(10)));
  const int count = script_->call_count;
  EXPECT_EQ(outcome.error(),
            (Error{Errc::kUnreachable, "failure " + std::to_string(count - 1) + "; gave up after " +
                                           std::to_string(count) + " attempts"}));
}

TEST_F(RetryingStoreTest, AStoreThatHangsFromTheStartTimesOut) {
  script_->hangs_with_less_than = std::chrono::hours(1);
  script_->steps = {{Errc::kUnreachable}};
  EXPECT_EQ(store_->Head("k", In(seconds(10))).error(), (Error{Errc::kTimedOut, "cut short"}));
}

TEST_F(RetryingStoreTest, OnlyTheFirstOfManyFailuresIsWarnedOf) {
  script_->steps = {{Errc::kUnreachable}};
  EXPECT_FALSE(store_->Head("k", In(seconds(10))));
  EXPECT_GT(script_->call_count, 5);
  const log::Event last = log::RecentTrouble().back();
  EXPECT_EQ(last.text, "failure 1; trying again");
  EXPECT_EQ(last.level, log::Level::kWarning);
}

TEST_F(RetryingStoreTest, WaitsAsLongAsTheStoreAsked) {
  quiet_time_->AskedUntil(clock_.Now() + seconds(3));
  script_->steps = {{Errc::kBusy}, {}};
  EXPECT_TRUE(store_->Head("k", In(seconds(20))));
  EXPECT_EQ(slept_, (std::vector<Duration>{seconds(3) + milliseconds(50)}));
}

TEST_F(RetryingStoreTest, TriesOnceMoreAtTheEndWhenTheStoreAsksForMoreTimeThanThereIs) {
  quiet_time_->AskedUntil(clock_.Now() + seconds(60));
  script_->steps = {{Errc::kBusy}, {}};
  EXPECT_TRUE(store_->Head("k", In(seconds(20))));
  EXPECT_EQ(slept_, (std::vector<Duration>{seconds(19)}));
  slept_.clear();
  script_->steps = {{Errc::kUnreachable}, {}};
  EXPECT_TRUE(store_->Head("k", In(seconds(1))));
  EXPECT_EQ(slept_, (std::vector<Duration>{milliseconds(500)}));
  slept_.clear();
  script_->call_count = 0;
  script_->steps = {{Errc::kBusy}};
  EXPECT_EQ(store_->Head("k", In(seconds(20))).error(),
            (Error{Errc::kTimedOut, "failure 2; gave up after 2 attempts"}));
  EXPECT_EQ(slept_, (std::vector<Duration>{seconds(19)}));
}

TEST_F(RetryingStoreTest, AGetThatBrokeInTheMiddleGoesOnThoughTheStoreAskedOthersToWait) {
  quiet_time_->AskedUntil(clock_.Now() + seconds(60));
  script_->steps = {{Errc::kUnreachable, 3}, {Errc::kTimedOut, 2}, {}};
  KeepBytes sink;
  ASSERT_TRUE(store_->Get({"k", "e", 100}, {0, 8}, sink, In(seconds(20))));
  EXPECT_EQ(sink.kept, (std::vector<uint8_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(slept_, (std::vector<Duration>{milliseconds(50), milliseconds(50)}));
}

TEST(WaitBeforeRetry, IsAShareOfABoundThatDoublesUpToTheMost) {
  const RetryPolicy policy;
  const auto wait = [&](uint32_t failures, double chance) {
    return WaitBeforeRetry(policy, failures, chance, Duration::zero(), std::chrono::hours(1));
  };
  EXPECT_EQ(wait(1, 0.0), Duration::zero());
  EXPECT_EQ(wait(1, 0.5), milliseconds(25));
  EXPECT_EQ(wait(5, 1.0), milliseconds(800));
  EXPECT_EQ(wait(31, 1.0), seconds(5));
  EXPECT_EQ(wait(32, 1.0), std::nullopt);
  EXPECT_EQ(WaitBeforeRetry(policy, 9, 1.0, Duration::zero(), seconds(2)), seconds(1));
  // Those that were asked to wait come back one by one.
  EXPECT_EQ(WaitBeforeRetry(policy, 1, 0.0, seconds(3), seconds(20)), seconds(3));
  EXPECT_EQ(WaitBeforeRetry(policy, 5, 0.5, seconds(3), seconds(20)), milliseconds(3400));
  EXPECT_EQ(WaitBeforeRetry(policy, 9, 1.0, seconds(3), seconds(20)), seconds(8));
  EXPECT_EQ(WaitBeforeRetry(policy, 1, 1.0, Duration::zero(), milliseconds(19)), std::nullopt);
}

}  // namespace
}  // namespace shoal
