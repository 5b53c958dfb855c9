#include "cache/limited_source.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <vector>

#include "testing/fake_clock.h"
#include "testing/memory_range_source.h"

namespace shoal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kTurnBytes = 64 * kKiB;

// Keeps what it is sent, and knows when it was asked whether it wants more.
class PatientSink final : public ByteSink {
 public:
  bool Append(std::span<const std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    if (bytes.empty()) ++asked_count_;
    changed_.notify_all();
    return wants_more_;
  }
  // Until it was asked once more: who sends to it waits.
  void WaitUntilAsked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, before = asked_count_] { return asked_count_ > before; });
  }
  void WaitForBytes(uint64_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return data_.size() >= count; });
  }
  void WantNoMore() {
    const std::lock_guard lock(mutex_);
    wants_more_ = false;
  }
  [[nodiscard]] std::vector<std::byte> data() const {
    const std::lock_guard lock(mutex_);
    return data_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::byte> data_;
  uint64_t asked_count_ = 0;
  bool wants_more_ = true;
};

class LimitedSourceTest : public ::testing::Test {
 protected:
  // A turn of 64 KiB a second, so that time passes by whole turns.
  LimitedSourceTest() : limit_(kTurnBytes, clock_), source_(next_, limit_) {
    next_.SetChunkBytes(16 * kKiB);
  }

  std::future<Result<ServedBy>> Start(PatientSink& sink, uint64_t length, Purpose purpose,
                                      Deadline deadline = {}) {
    return std::async(std::launch::async, [this, &sink, length, purpose, deadline] {
      return source_.Open(object_)->Read({{0, length}, purpose, deadline}, sink);
    });
  }
  std::vector<std::byte> Expected(uint64_t length) const {
    std::vector<std::byte> bytes(length);
    MemoryRangeSource::Generate(object_, 0, bytes);
    return bytes;
  }

  const ObjectVersion object_{"key", "\"1\"", kMiB};
  FakeClock clock_;
  MemoryRangeSource next_;
  TrafficLimit limit_;
  LimitedSource source_;
  PatientSink sink_;
};

TEST_F(LimitedSourceTest, SendsATurnAndThenAsMuchAsTimeGoesBy) {
  auto read = Start(sink_, 4 * kTurnBytes, Purpose::kRead);
  for (uint64_t turns = 1; turns < 4; ++turns) {
    sink_.WaitUntilAsked();
    EXPECT_EQ(sink_.data(), Expected(turns * kTurnBytes));
    clock_.Advance(seconds(1));
    sink_.WaitForBytes((turns + 1) * kTurnBytes);
  }
  EXPECT_EQ(read.get(), ServedBy::kOrigin);
  EXPECT_EQ(sink_.data(), Expected(4 * kTurnBytes));
}

// Has room for all of it.
class RoomySink final : public ByteSink {
 public:
  bool Append(std::span<const std::byte>) override { return true; }
  std::span<std::byte> Room() override { return memory_; }

 private:
  std::vector<std::byte> memory_ = std::vector<std::byte>(kMiB);
};

// Asks for room before each piece.
class RoomAskingSource final : public RangeSource {
 public:
  std::shared_ptr<ObjectBytes> Open(const ObjectVersion&) override {
    return std::make_shared<Bytes>(*this);
  }
  std::vector<size_t> rooms;

 private:
  class Bytes final : public ObjectBytes {
   public:
    explicit Bytes(RoomAskingSource& source) : source_(source) {}
    Result<ServedBy> Read(const RangeRequest& request, ByteSink& sink) override {
      for (uint64_t sent = 0; sent < request.range.length;) {
        const std::span<std::byte> room = sink.Room();
        source_.rooms.push_back(room.size());
        if (!sink.Append(room)) return Fail(Errc::kInterrupted, "no more");
        sent += room.size();
      }
      return ServedBy::kOrigin;
    }

   private:
    RoomAskingSource& source_;
  };
};

TEST_F(LimitedSourceTest, ThereIsRoomForATurnOrWhatMayPassInAMillisecond) {
  for (const auto& [rate, room_bytes] : {std::pair<uint64_t, size_t>{kTurnBytes, kTurnBytes},
                                         {128 * kTurnBytes, kTurnBytes},
                                         {uint64_t{256'000'000}, 256'000},
                                         {uint64_t{1} << 40, kMiB},
                                         {0, kMiB}}) {
    TrafficLimit limit(rate, clock_);
    RoomAskingSource asking;
    LimitedSource limited(asking, limit);
    RoomySink roomy;
    ASSERT_TRUE(limited.Open(object_)->Read({{0, room_bytes}, Purpose::kRead, {}}, roomy));
    EXPECT_EQ(asking.rooms, std::vector<size_t>{room_bytes}) << rate;
  }
}

TEST_F(LimitedSourceTest, AllRequestsTogetherGetNoMoreThanOne) {
  PatientSink others[3];
  std::vector<std::future<Result<ServedBy>>> reads;
  for (PatientSink& other : others) reads.push_back(Start(other, kTurnBytes, Purpose::kReadahead));
  reads.push_back(Start(sink_, kTurnBytes, Purpose::kRead));
  uint64_t ended_count = 0;
  for (; ended_count < 4; ++ended_count) {
    next_.WaitForSent((ended_count + 1) * kTurnBytes);
    // As many as time went by for; the rest wait until it does.
    EXPECT_EQ(next_.sent_bytes(), (ended_count + 1) * kTurnBytes);
    clock_.Advance(seconds(1));
  }
  for (auto& read : reads) EXPECT_EQ(read.get(), ServedBy::kOrigin);
  for (const PatientSink& other : others) EXPECT_EQ(other.data(), Expected(kTurnBytes));
}

TEST_F(LimitedSourceTest, NobodyWaitsWithoutALimitOrBelowIt) {
  clock_.Advance(seconds(1));
  ASSERT_EQ(Start(sink_, 2 * kKiB, Purpose::kRead).get(), ServedBy::kOrigin);
  limit_.SetRate(0);
  EXPECT_EQ(Start(sink_, kMiB, Purpose::kWarmup).get(), ServedBy::kOrigin);
}

TEST_F(LimitedSourceTest, ALimitThatIsLiftedLetsThoseGoOnWhoWait) {
  PatientSink other;
  auto read = Start(sink_, kMiB, Purpose::kRead);
  auto warmup = Start(other, kMiB, Purpose::kWarmup);
  sink_.WaitUntilAsked();
  other.WaitUntilAsked();
  limit_.SetRate(0);
  EXPECT_EQ(read.get(), ServedBy::kOrigin);
  EXPECT_EQ(warmup.get(), ServedBy::kOrigin);
  EXPECT_EQ(sink_.data(), Expected(kMiB));
  EXPECT_EQ(other.data(), Expected(kMiB));
}

TEST_F(LimitedSourceTest, WarmupThatWaitedLongerLetsAReaderGoFirst) {
  PatientSink warmed;
  auto warmup = Start(warmed, 3 * kTurnBytes, Purpose::kWarmup);
  warmed.WaitUntilAsked();  // it had a turn of its own, and waits for the second
  auto read = Start(sink_, kTurnBytes, Purpose::kRead);
  sink_.WaitUntilAsked();
  clock_.Advance(seconds(1));
  EXPECT_EQ(read.get(), ServedBy::kOrigin);
  warmed.WaitUntilAsked();
  EXPECT_EQ(warmed.data(), Expected(kTurnBytes));
  clock_.Advance(seconds(1));
  warmed.WaitForBytes(2 * kTurnBytes);
  clock_.Advance(seconds(1));
  EXPECT_EQ(warmup.get(), ServedBy::kOrigin);
}

TEST_F(LimitedSourceTest, WhoseTurnDoesNotComeByTheDeadlineHasTimedOut) {
  auto read =
      Start(sink_, 2 * kTurnBytes, Purpose::kRead, Deadline::After(clock_, milliseconds(900)));
  sink_.WaitUntilAsked();
  clock_.Advance(milliseconds(900));
  const auto result = read.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kTimedOut);
  EXPECT_NE(result.error().detail.find("g_tier_DadiSdkGetTrafficLimit"), std::string::npos);
  EXPECT_EQ(sink_.data(), Expected(kTurnBytes));
}

TEST_F(LimitedSourceTest, EndsWhenTheReaderWantsNoMoreAlthoughItsTurnDoesNotCome) {
  auto read = Start(sink_, 2 * kTurnBytes, Purpose::kWarmup);
  sink_.WaitUntilAsked();
  sink_.WantNoMore();
  const auto result = read.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kInterrupted);
}

TEST_F(LimitedSourceTest, WhoGivesUpLetsTheNextOneGoOn) {
  PatientSink other;
  auto gives_up = Start(sink_, 2 * kTurnBytes, Purpose::kRead);
  sink_.WaitUntilAsked();
  auto waits = Start(other, kTurnBytes, Purpose::kRead);
  other.WaitUntilAsked();
  sink_.WantNoMore();
  EXPECT_FALSE(gives_up.get());
  clock_.Advance(seconds(2));  // what it gave up on was fetched all the same
  EXPECT_EQ(waits.get(), ServedBy::kOrigin);
}

TEST_F(LimitedSourceTest, WhatIsAtHandIsNotLimited) {
  next_.KeepWhatIsAskedFor();
  limit_.SetRate(0);
  ASSERT_EQ(Start(sink_, kMiB, Purpose::kRead).get(), ServedBy::kOrigin);
  limit_.SetRate(kTurnBytes);
  std::vector<std::byte> out(kMiB);
  EXPECT_EQ(source_.Open(object_)->ReadNow(0, out), ServedBy::kDisk);
  EXPECT_EQ(out, Expected(kMiB));
}

}  // namespace
}  // namespace shoal
