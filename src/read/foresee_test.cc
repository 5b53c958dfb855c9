// What is fetched before it is opened: SegmentEngine::Foresee.
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "read/segment_engine.h"
#include "testing/fake_clock.h"
#include "testing/memory_range_source.h"

namespace shoal {
namespace {

using Bytes = std::vector<std::byte>;

class ForeseeTest : public testing::Test {
 protected:
  static ObjectVersion Object(int number, uint64_t size_bytes = 110 * kKiB) {
    return {.key = "d/" + std::to_string(number), .etag = "\"1\"", .size_bytes = size_bytes};
  }
  SegmentEngine& Engine(uint64_t memory_mib = 64, uint64_t fetch_count_max = 16) {
    engine_ = std::make_unique<SegmentEngine>(
        ReadOptions{.memory_mib = memory_mib, .fetch_count_max = fetch_count_max}, source_, clock_);
    return *engine_;
  }
  static std::future<Result<Bytes>> Start(ObjectReader& reader, ByteRange range) {
    auto promise = std::make_shared<std::promise<Result<Bytes>>>();
    reader.Read(range, [promise](auto pieces) {
      if (!pieces) return promise->set_value(tl::unexpected(pieces.error()));
      Bytes bytes;
      for (const auto piece : *pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
      promise->set_value(std::move(bytes));
    });
    return promise->get_future();
  }
  static void ExpectWhole(ObjectReader& reader, const ObjectVersion& object) {
    Bytes expected(object.size_bytes);
    MemoryRangeSource::Generate(object, 0, expected);
    const Result<Bytes> read = Start(reader, {0, object.size_bytes}).get();
    ASSERT_TRUE(read) << read.error().detail;
    EXPECT_TRUE(*read == expected) << object.key;
  }

  FakeClock clock_;
  MemoryRangeSource source_;
  std::unique_ptr<SegmentEngine> engine_;
};

TEST_F(ForeseeTest, AForeseenObjectIsReadWithoutAnotherFetch) {
  SegmentEngine& engine = Engine();
  for (const uint64_t size_bytes : {uint64_t{1}, 4095 * uint64_t{1}, 110 * kKiB, kMiB}) {
    const ObjectVersion object = Object(static_cast<int>(size_bytes), size_bytes);
    const size_t fetches_before = source_.fetch_count();
    const auto foreseen = engine.Foresee(object);
    ASSERT_NE(foreseen, nullptr);
    const auto opened = engine.Open(object);
    EXPECT_EQ(opened, foreseen);
    ExpectWhole(*opened, object);
    EXPECT_EQ(source_.fetch_count(), fetches_before + 1);
    EXPECT_EQ(source_.requests().back().range, (ByteRange{0, size_bytes}));
  }
}

TEST_F(ForeseeTest, ItsBytesAreTakenFromMemoryThoughACacheHasThemByNow) {
  source_.KeepWhatIsAskedFor();
  SegmentEngine& engine = Engine();
  const ObjectVersion object = Object(1);
  const auto foreseen = engine.Foresee(object);
  source_.WaitForSent(object.size_bytes);
  Bytes out(4096);
  EXPECT_EQ(foreseen->ReadNow(0, out), std::nullopt);
  ExpectWhole(*foreseen, object);
}

TEST_F(ForeseeTest, AReaderThatComesEarlyWaitsForTheFetchThatIsUnderWay) {
  SegmentEngine& engine = Engine();
  const ObjectVersion object = Object(1);
  source_.HoldFetches();
  const auto foreseen = engine.Foresee(object);
  source_.WaitForHeld(1);
  auto read = Start(*engine.Open(object), {0, object.size_bytes});
  source_.ReleaseFetches();
  EXPECT_TRUE(read.get());
  EXPECT_EQ(source_.fetch_count(), 1U);
  EXPECT_EQ(source_.requests().front().purpose, Purpose::kReadahead);
}

TEST_F(ForeseeTest, WhatIsForeseenTakesAQuarterOfTheMemory) {
  SegmentEngine& engine = Engine(64);
  std::vector<std::shared_ptr<ObjectReader>> foreseen;
  for (int i = 0; i < 16; ++i) {
    foreseen.push_back(engine.Foresee(Object(i, kMiB)));
    ASSERT_NE(foreseen.back(), nullptr) << i;
  }
  EXPECT_EQ(engine.Foresee(Object(16, kMiB)), nullptr);
  EXPECT_EQ(engine.memory_use().used_bytes, 16 * kMiB);

  source_.WaitForSent(16 * kMiB);
  source_.WaitForNone();
  ExpectWhole(*foreseen[3], Object(3, kMiB));
  foreseen[3] = nullptr;
  foreseen[3] = engine.Foresee(Object(16, kMiB));
  EXPECT_NE(foreseen[3], nullptr);
  source_.WaitForSent(17 * kMiB);
  EXPECT_EQ(source_.fetch_count(), 17U);
}

TEST_F(ForeseeTest, AReadThatNeedsTheMemoryGetsItAndWhatWasForeseenIsFetchedAgain) {
  SegmentEngine& engine = Engine(8);
  std::vector<std::shared_ptr<ObjectReader>> foreseen{engine.Foresee(Object(0, kMiB)),
                                                      engine.Foresee(Object(1, kMiB))};
  source_.WaitForSent(2 * kMiB);
  source_.WaitForNone();
  const ObjectVersion large = Object(2, 100 * kMiB);
  const auto reader = engine.Open(large);
  source_.HoldFetches();
  auto first = Start(*reader, {20 * kMiB, 4 * kMiB});
  auto second = Start(*reader, {60 * kMiB, 4 * kMiB});
  source_.WaitForHeld(2);  // neither waits for memory
  source_.ReleaseFetches();
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  EXPECT_EQ(engine.Foresee(Object(3, kMiB)), nullptr)
      << "it is told once that there was not enough";
  for (int i = 0; i < 2; ++i) ExpectWhole(*foreseen[i], Object(i, kMiB));
}

TEST_F(ForeseeTest, AReadThatWaitsHasAThreadWhateverIsForeseen) {
  SegmentEngine& engine = Engine(64, 4);
  source_.HoldFetches();
  std::vector<std::shared_ptr<ObjectReader>> foreseen;
  for (int i = 0; i < 20; ++i) foreseen.push_back(engine.Foresee(Object(i)));
  source_.WaitForHeld(3);
  const auto reader = engine.Open(Object(100));
  auto read = Start(*reader, {0, 4096});
  source_.WaitForHeld(4);
  EXPECT_EQ(source_.requests().back().purpose, Purpose::kRead);
  source_.ReleaseFetches();
  EXPECT_TRUE(read.get());
}

TEST_F(ForeseeTest, WhatNobodyHoldsAnyMoreIsNotFetchedToItsEndAndTakesNoMemory) {
  SegmentEngine& engine = Engine(64, 2);  // so that one is fetched, and the other queues
  source_.HoldFetches(64 * kKiB);
  auto under_way = engine.Foresee(Object(1, kMiB));
  auto queued = engine.Foresee(Object(2, kMiB));
  source_.WaitForHeld(1);
  under_way = queued = nullptr;
  source_.ReleaseFetches();
  engine_ = nullptr;  // waits for its threads
  EXPECT_EQ(source_.fetch_count(), 1U);
  EXPECT_LE(source_.sent_bytes(), 128 * kKiB);
}

TEST_F(ForeseeTest, AFetchThatFailsIsMadeAgainForTheReader) {
  SegmentEngine& engine = Engine(64, 2);  // so that the second is fetched after the first
  const ObjectVersion object = Object(1);
  source_.FailNext({Errc::kUnreachable, "for now"}, 1000);
  const auto foreseen = engine.Foresee(object);
  const auto another = engine.Foresee(Object(2));
  source_.WaitForSent(1000 + 110 * kKiB);
  ExpectWhole(*engine.Open(object), object);
  EXPECT_EQ(source_.fetch_count(), 3U);
}

}  // namespace
}  // namespace shoal
