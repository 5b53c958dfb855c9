// One fetch for everybody who wants the same bytes at the same time: readers and deliveries of one
// tier, whatever becomes of the fetch.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/demand_gauge.h"
#include "cache/flight_table.h"
#include "cache/open_cache_directory.h"
#include "cache/tier.h"
#include "testing/fake_clock.h"
#include "testing/memory_range_source.h"
#include "testing/temporary_directory.h"
#include "testing/troubled_storage.h"

namespace shoal {
namespace {

using Arrival = Delivery::Arrival;
using Data = std::vector<std::byte>;

const ObjectVersion kObject{"key", "\"1\"", 8 * kMiB + 123};
constexpr ByteRange kAll{0, 8 * kMiB + 123};

Data Expected(ByteRange range) {
  Data data(range.length);
  MemoryRangeSource::Generate(kObject, range.offset, data);
  return data;
}

// Keeps what it is sent, and can be made to block or to want no more. Thread-safe.
class Receiver final : public Delivery::Watcher {
 public:
  bool Append(std::span<const std::byte> bytes) override {
    std::unique_lock lock(mutex_);
    ++call_count_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !blocked_; });
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    changed_.notify_all();
    return wants_;
  }
  void Block() { Set(blocked_, true); }
  void Unblock() { Set(blocked_, false); }
  void WantNoMore() { Set(wants_, false); }
  // Until so many bytes came.
  void WaitFor(size_t byte_count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return data_.size() >= byte_count; });
  }
  // Until it was sent something, or asked whether it wants more.
  void WaitForCall() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return call_count_ > 0; });
  }
  Data data() {
    const std::scoped_lock lock(mutex_);
    return data_;
  }

 private:
  void Set(bool& flag, bool value) {
    const std::scoped_lock lock(mutex_);
    flag = value;
    changed_.notify_all();
  }

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  size_t call_count_ = 0;
  bool blocked_ = false;
  bool wants_ = true;
  Data data_;
};

// Of a Party; the upkeep looks at the clock as well.
thread_local bool is_a_partys_thread = false;

// A FakeClock that can let something happen before it next says a party the time. Thread-safe.
class InterruptingClock final : public Clock {
 public:
  [[nodiscard]] Instant Now() const override {
    std::function<void()> what;
    if (is_a_partys_thread) {
      const std::scoped_lock lock(mutex_);
      std::swap(what, what_);
    }
    if (what) what();
    return clock_.Now();
  }
  [[nodiscard]] int64_t UnixSeconds() const override { return clock_.UnixSeconds(); }
  void Advance(Duration by) { clock_.Advance(by); }
  void AtTheNextLook(std::function<void()> what) {
    const std::scoped_lock lock(mutex_);
    what_ = std::move(what);
  }

 private:
  FakeClock clock_;
  mutable std::mutex mutex_;
  mutable std::function<void()> what_;  // guarded by mutex_
};

// A read or a delivery on a thread of its own.
struct Party {
  Receiver receiver;
  Result<> result;
  std::thread thread;

  ~Party() {
    if (thread.joinable()) thread.join();
  }
  ::testing::AssertionResult Got(ByteRange range) {
    thread.join();
    if (!result) return ::testing::AssertionFailure() << result.error().detail;
    if (receiver.data() != Expected(range)) return ::testing::AssertionFailure() << "wrong bytes";
    return ::testing::AssertionSuccess();
  }
};

class SingleFlightTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto storage = OpenCacheDirectory(directory_.path(), {});
    ASSERT_TRUE(storage) << storage.error().detail;
    std::vector<std::unique_ptr<CacheVolume>> volumes;
    volumes.push_back(std::make_unique<CacheVolume>(
        VolumeOptions{.capacity_bytes = 256 * kMiB, .free_bytes_min = 0},
        std::make_unique<TroubledStorage>(*std::move(storage), trouble_), clock_));
    volumes.back()->WaitUntilScanned();
    tier_ = std::make_unique<Tier>(TierOptions{.bucket_identity = "bucket"}, std::move(volumes),
                                   origin_, &demand_);
  }

  void Start(Party& party, std::function<Result<>(Receiver&)> work) {
    party.thread = std::thread([&party, work = std::move(work)] {
      is_a_partys_thread = true;
      party.result = work(party.receiver);
    });
  }
  void StartReading(Party& party, ByteRange range, Deadline deadline = {}) {
    Start(party, [this, range, deadline](Receiver& receiver) -> Result<> {
      RETURN_IF_ERROR(tier_->Open(kObject)->Read({.range = range, .deadline = deadline}, receiver));
      return {};
    });
  }
  void StartBringing(Party& party, ByteRange range) {
    Start(party, [delivery = tier_->Deliver(kObject), range](Receiver& receiver) {
      return delivery->Bring(range, receiver, {});
    });
  }
  // Whether all of it is kept, written and right.
  ::testing::AssertionResult IsWhole() {
    if (tier_->Deliver(kObject)->Arrive({}) != Arrival::kWhole)
      return ::testing::AssertionFailure() << "incomplete";
    const size_t before = origin_.fetch_count();
    Party reader;
    StartReading(reader, kAll);
    const ::testing::AssertionResult got = reader.Got(kAll);
    if (got && origin_.fetch_count() != before)
      return ::testing::AssertionFailure() << "fetched once more";
    return got;
  }
  // Each byte was asked of the origin once.
  [[nodiscard]] bool FetchedOnce() const { return origin_.asked_bytes() == kAll.length; }

  TemporaryDirectory directory_;
  InterruptingClock clock_;  // a flight stalls when a test says so
  DemandGauge demand_{clock_};
  MemoryRangeSource origin_;
  std::shared_ptr<StorageTrouble> trouble_ = std::make_shared<StorageTrouble>();
  std::unique_ptr<Tier> tier_;
};

TEST_F(SingleFlightTest, AReaderHasWhatADeliveryBringsAsItArrives) {
  origin_.HoldFetches(2 * kMiB + 512 * kKiB);
  Party delivery;
  Party reader;
  StartBringing(delivery, kAll);
  origin_.WaitForHeld(1);
  StartReading(reader, kAll);
  reader.receiver.WaitFor(2 * kMiB + 512 * kKiB);
  EXPECT_EQ(origin_.fetch_count(), 1);
  origin_.ReleaseFetches();
  EXPECT_TRUE(reader.Got(kAll));
  EXPECT_TRUE(delivery.Got(kAll));
  EXPECT_TRUE(IsWhole());
  EXPECT_TRUE(FetchedOnce());
}

TEST_F(SingleFlightTest, ADeliveryWaitsForWhatAReaderBringsAndFetchesTheRest) {
  origin_.HoldFetches(512 * kKiB);
  Party reader;
  Party delivery;
  StartReading(reader, {kMiB, 2 * kMiB});
  origin_.WaitForHeld(1);
  StartBringing(delivery, kAll);
  origin_.WaitForHeld(2);  // on what is before that
  origin_.ReleaseFetches();
  EXPECT_TRUE(reader.Got({kMiB, 2 * kMiB}));
  delivery.thread.join();
  EXPECT_TRUE(delivery.result);
  EXPECT_TRUE(IsWhole());
  EXPECT_TRUE(FetchedOnce());
}

TEST_F(SingleFlightTest, TwoDeliveriesFetchOnce) {
  origin_.HoldFetches(kMiB);
  Party first;
  Party second;
  StartBringing(first, kAll);
  origin_.WaitForHeld(1);
  StartBringing(second, kAll);
  second.receiver.WaitForCall();  // whether it still wants what it waits for
  origin_.ReleaseFetches();
  EXPECT_TRUE(first.Got(kAll));
  second.thread.join();
  EXPECT_TRUE(second.result);
  EXPECT_TRUE(second.receiver.data().empty()) << "it sees what it fetches itself";
  EXPECT_TRUE(IsWhole());
  EXPECT_TRUE(FetchedOnce());
}

TEST_F(SingleFlightTest, AReaderThatWaitsForADeliveryIsDemandAndADeliveryIsNot) {
  origin_.HoldFetches();
  Party first;
  Party second;
  Party reader;
  StartBringing(first, kAll);
  origin_.WaitForHeld(1);
  StartBringing(second, kAll);
  second.receiver.WaitForCall();
  EXPECT_EQ(demand_.Read().under_way_count, 0);
  StartReading(reader, kAll);
  while (demand_.Read().under_way_count == 0) std::this_thread::yield();
  origin_.ReleaseFetches();
  EXPECT_TRUE(reader.Got(kAll));
  EXPECT_EQ(demand_.Read().under_way_count, 0);
}

TEST_F(SingleFlightTest, AFetchThatFailsFailsNobodyElse) {
  origin_.HoldFetches(512 * kKiB);
  origin_.FailNext({Errc::kUnreachable, "cut"}, kMiB + 512 * kKiB);
  Party delivery;
  Party reader;
  Party other;
  StartBringing(delivery, kAll);
  origin_.WaitForHeld(1);
  StartReading(reader, kAll);
  reader.receiver.WaitFor(512 * kKiB);
  StartBringing(other, kAll);
  other.receiver.WaitForCall();
  origin_.ReleaseFetches();
  EXPECT_TRUE(reader.Got(kAll));
  delivery.thread.join();
  EXPECT_EQ(delivery.result.error().detail, "cut");
  other.thread.join();
  EXPECT_TRUE(other.result);
  EXPECT_TRUE(IsWhole());
  EXPECT_EQ(origin_.asked_bytes(), kAll.length + (kAll.length - (kMiB + 512 * kKiB)))
      << "what did not come was asked for again, once";
}

TEST_F(SingleFlightTest, AFetchThatIsAbandonedIsTakenOver) {
  origin_.HoldFetches(512 * kKiB);
  Party delivery;
  Party reader;
  StartBringing(delivery, kAll);
  origin_.WaitForHeld(1);
  StartReading(reader, kAll);
  reader.receiver.WaitFor(512 * kKiB);
  delivery.receiver.WantNoMore();
  origin_.ReleaseFetches();
  EXPECT_TRUE(reader.Got(kAll));
  delivery.thread.join();
  EXPECT_EQ(delivery.result.error().code, Errc::kInterrupted);
  EXPECT_TRUE(IsWhole());
}

TEST_F(SingleFlightTest, ADeliveryThatNobodyWantsAnyMoreStopsWaiting) {
  origin_.HoldFetches();
  Party reader;
  Party delivery;
  StartReading(reader, kAll);
  origin_.WaitForHeld(1);
  delivery.receiver.WantNoMore();
  StartBringing(delivery, kAll);
  delivery.thread.join();
  EXPECT_EQ(delivery.result.error().code, Errc::kInterrupted);
  origin_.ReleaseFetches();
  EXPECT_TRUE(reader.Got(kAll));
}

TEST_F(SingleFlightTest, AFetchThatStallsHoldsNobodyUp) {
  Party stalled;
  stalled.receiver.Block();
  StartBringing(stalled, kAll);
  stalled.receiver.WaitForCall();
  Party reader;
  StartReading(reader, kAll);  // begins to wait or not: both come to an end
  clock_.Advance(FlightTable::kStallMax);
  EXPECT_TRUE(reader.Got(kAll));
  stalled.receiver.Unblock();
  EXPECT_TRUE(stalled.Got(kAll));
  EXPECT_TRUE(IsWhole());
}

TEST_F(SingleFlightTest, AReaderKeepsHalfOfItsTimeForAFetchOfItsOwn) {
  Party slow;
  slow.receiver.Block();
  StartBringing(slow, kAll);
  slow.receiver.WaitForCall();
  Party reader;
  const Deadline deadline = Deadline::After(clock_, std::chrono::milliseconds(200));
  StartReading(reader, kAll, deadline);
  while (demand_.Read().under_way_count == 0) std::this_thread::yield();
  clock_.Advance(std::chrono::milliseconds(100));
  EXPECT_TRUE(reader.Got(kAll));
  EXPECT_FALSE(deadline.Passed(clock_));
  slow.receiver.Unblock();
}

TEST_F(SingleFlightTest, WhatTheVolumeDropsIsFetchedAgainByWhoCameTooLate) {
  Party delivery;
  Party reader;
  origin_.HoldFetches(512 * kKiB);
  trouble_->FailCall(0, {Errc::kNoSpace, "full"}, true);
  StartBringing(delivery, kAll);
  origin_.WaitForHeld(1);
  reader.receiver.Block();
  StartReading(reader, kAll);
  reader.receiver.WaitForCall();
  origin_.ReleaseFetches();
  EXPECT_TRUE(delivery.Got(kAll));
  tier_->volumes()[0]->WaitUntilWritten();  // and nothing was
  reader.receiver.Unblock();
  EXPECT_TRUE(reader.Got(kAll));
  ASSERT_EQ(origin_.fetch_count(), 2);
  EXPECT_EQ(origin_.requests()[1].range, (ByteRange{512 * kKiB, kAll.length - 512 * kKiB}));
}

TEST_F(SingleFlightTest, ADeliveryIsNotLeftWaitingForWhatTheVolumeDrops) {
  Party reader;
  Party delivery;
  origin_.HoldFetches(512 * kKiB);
  trouble_->FailCall(0, {Errc::kNoSpace, "full"}, true);
  StartReading(reader, kAll);
  origin_.WaitForHeld(1);
  StartBringing(delivery, kAll);
  delivery.receiver.WaitForCall();
  origin_.ReleaseFetches();
  EXPECT_TRUE(reader.Got(kAll));
  delivery.thread.join();
  EXPECT_TRUE(delivery.result);
  tier_->volumes()[0]->WaitUntilWritten();  // or what waits still will be
  trouble_->EndFailing();
  // More than once where it was the upkeep's call that failed, and it says so late.
  for (int turn = 0; turn < 3 && tier_->Cover(kObject, {}).cached_bytes < kAll.length; ++turn) {
    clock_.Advance(std::chrono::seconds(2));
    Party again;
    StartBringing(again, kAll);
    again.thread.join();
    EXPECT_TRUE(again.result);
    tier_->volumes()[0]->WaitUntilWritten();
  }
  EXPECT_TRUE(IsWhole());
}

// Readers and deliveries at random places, in parts that no fetch bridges, so that what is fetched
// twice shows.
TEST_F(SingleFlightTest, WhoeverReadsWhatAndWhenEachByteIsFetchedOnce) {
  constexpr uint64_t kPart = 256 * kKiB;
  origin_.SetChunkBytes(10'007);
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 8; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      const auto bytes = tier_->Open(kObject);
      const auto delivery = tier_->Deliver(kObject);
      for (int i = 0; i < 12; ++i) {
        const uint64_t offset = random() % (kAll.length / kPart + 1) * kPart;
        const uint64_t length = std::min((1 + random() % 4) * kPart, kAll.length - offset);
        const ByteRange range{offset, length};
        Receiver receiver;
        if (random() % 3 == 0) {
          ASSERT_TRUE(delivery->Bring(range, receiver, {}));
        } else {
          const auto purpose = random() % 2 == 0 ? Purpose::kRead : Purpose::kReadahead;
          ASSERT_TRUE(bytes->Read({.range = range, .purpose = purpose, .deadline = {}}, receiver));
          ASSERT_TRUE(receiver.data() == Expected(range));
        }
      }
      Receiver rest;
      ASSERT_TRUE(bytes->Read({.range = kAll, .deadline = {}}, rest));
      ASSERT_TRUE(rest.data() == Expected(kAll));
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(FetchedOnce()) << origin_.asked_bytes() << " bytes of " << kAll.length;
  EXPECT_TRUE(IsWhole());
}

// The volume is looked at, then the time, then what is on its way.
TEST_F(SingleFlightTest, WhatCameBetweenTheLookAndTheFetchIsNotFetchedAgain) {
  Party late;
  Party between;
  clock_.AtTheNextLook([&] {
    StartReading(between, kAll);
    EXPECT_TRUE(between.Got(kAll));
  });
  StartReading(late, kAll);
  EXPECT_TRUE(late.Got(kAll));
  EXPECT_TRUE(FetchedOnce());
}

TEST_F(SingleFlightTest, WhatCameInTheMiddleMeanwhileIsNotFetchedAgain) {
  constexpr ByteRange kMiddle{3 * kMiB, kMiB};
  Party late;
  Party between;
  clock_.AtTheNextLook([&] {
    StartBringing(between, kMiddle);
    EXPECT_TRUE(between.Got(kMiddle));
  });
  StartBringing(late, kAll);
  late.thread.join();
  EXPECT_TRUE(late.result);
  EXPECT_TRUE(FetchedOnce());
  EXPECT_TRUE(IsWhole());
}

TEST_F(SingleFlightTest, OfManyOnlyThoseFailWhoseOwnFetchDoes) {
  constexpr size_t kFailures = 12;
  origin_.SetChunkBytes(10'007);
  std::mt19937_64 lengths(99);
  for (size_t i = 0; i < kFailures; ++i)
    origin_.FailNext({Errc::kUnreachable, "cut"}, lengths() % (2 * kMiB));
  std::atomic<size_t> failure_count = 0;
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 8; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      const auto bytes = tier_->Open(kObject);
      const auto delivery = tier_->Deliver(kObject);
      while (true) {
        const bool is_reader = random() % 2 == 0;
        Receiver receiver;
        const uint64_t offset = is_reader ? random() % kAll.length : 0;
        const ByteRange range{offset, kAll.length - offset};
        const bool done = is_reader
                              ? bytes->Read({.range = range, .deadline = {}}, receiver).has_value()
                              : delivery->Bring(range, receiver, {}).has_value();
        if (!done) ++failure_count;
        if (!is_reader) {
          if (done) return;
          continue;
        }
        Data expected = Expected(range);
        const Data got = receiver.data();
        ASSERT_TRUE(!done || got.size() == expected.size());
        expected.resize(got.size());
        ASSERT_TRUE(got == expected);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failure_count, std::min(kFailures, origin_.fetch_count()));
  EXPECT_TRUE(IsWhole());
}

}  // namespace
}  // namespace shoal
