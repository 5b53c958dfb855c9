// What a SegmentEngine keeps in memory, and what it does when that is out or changes.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "testing/segment_engine_fixture.h"

namespace shoal {
namespace {

class SegmentEngineMemoryTest : public SegmentEngineFixture {};

TEST_F(SegmentEngineMemoryTest, BlocksAreNoMoreThanAnEighthOfTheMemory) {
  SegmentEngine engine({.memory_mib = 20, .segment_bytes = 8 * kMiB}, source_, clock_);
  const ObjectVersion object = Object(16 * kMiB);
  ReadThrough(*engine.Open(object), object, kMiB);
  EXPECT_EQ(source_.requests().front().range, (ByteRange{0, 2 * kMiB}));
  EXPECT_EQ(source_.asked_bytes(), object.size_bytes);
}

TEST_F(SegmentEngineMemoryTest, NothingOpenHoldsNoMemory) {
  const ObjectVersion object = Object(64 * kMiB);
  SegmentEngine& engine = Engine();
  auto reader = engine.Open(object);
  ReadUntilWindowIsOpen(*reader);
  EXPECT_EQ(engine.memory_use().used_bytes, 8 * kMiB);
  reader.reset();
  ExpectNothingHeldSoon(engine);
  EXPECT_LE(engine.memory_use().kept_bytes, 4 * kMiB);
}

TEST_F(SegmentEngineMemoryTest, SixtyFourFilesAtOnceStayInsideASmallBudget) {
  constexpr uint64_t kFileBytes = 2 * kMiB + 777;
  SegmentEngine& engine = Engine(16, 16);
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i)
    threads.emplace_back([&, i] {
      const ObjectVersion object = Object(kFileBytes, "file" + std::to_string(i));
      const auto reader = engine.Open(object);
      ReadThrough(*reader, object, i % 2 == 0 ? 128 * kKiB : kMiB);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(engine.memory_use().peak_bytes, 16 * kMiB);
  EXPECT_LE(source_.asked_bytes(), 64 * kFileBytes * 5 / 4);
}

TEST_F(SegmentEngineMemoryTest, ReadsWaitInLineWhenMemoryIsOut) {
  const ObjectVersion object = Object(200 * kMiB);
  SegmentEngine& engine = Engine(8, 16);
  const auto reader = engine.Open(object);
  source_.HoldFetches();
  std::vector<std::future<Outcome>> reads;
  for (uint64_t i = 0; i < 40; ++i) reads.push_back(Start(*reader, {i * 5 * kMiB + 99, kMiB}));
  source_.WaitForHeld(7);
  EXPECT_LE(engine.memory_use().used_bytes, 8 * kMiB);
  source_.ReleaseFetches();
  for (uint64_t i = 0; i < 40; ++i)
    EXPECT_TRUE(*reads[i].get() == Expected(object, {i * 5 * kMiB + 99, kMiB}));
  EXPECT_LE(engine.memory_use().peak_bytes, 8 * kMiB);
}

TEST_F(SegmentEngineMemoryTest, MemoryThatGrowsLetsReadsInLineGoOnAtOnce) {
  const ObjectVersion object = Object(200 * kMiB);
  SegmentEngine& engine = Engine(8, 16);
  const auto reader = engine.Open(object);
  source_.HoldFetches();
  std::vector<std::future<Outcome>> reads;
  for (uint64_t i = 0; i < 12; ++i) reads.push_back(Start(*reader, {i * 5 * kMiB + 99, kMiB}));
  source_.WaitForHeld(7);
  engine.SetMemory(16);
  source_.WaitForHeld(12);
  source_.ReleaseFetches();
  for (uint64_t i = 0; i < 12; ++i)
    EXPECT_TRUE(*reads[i].get() == Expected(object, {i * 5 * kMiB + 99, kMiB}));
}

TEST_F(SegmentEngineMemoryTest, MemoryThatShrinksIsGivenBackAsReadsEndAndFailsNoneThatStillFits) {
  const ObjectVersion object = Object(200 * kMiB);
  SegmentEngine& engine = Engine(64, 64);
  const auto reader = engine.Open(object);
  ReadUntilWindowIsOpen(*reader);
  source_.HoldFetches();
  std::vector<std::future<Outcome>> reads;
  for (uint64_t i = 0; i < 20; ++i)
    reads.push_back(Start(*reader, {50 * kMiB + i * 5 * kMiB + 99, kMiB}));
  source_.WaitForHeld(20);
  engine.SetMemory(16);
  // What was read ahead went; what is on its way is more than the budget, and stays.
  EXPECT_GT(engine.memory_use().used_bytes, 20 * kMiB);
  EXPECT_LT(engine.memory_use().used_bytes, 21 * kMiB);
  auto fits = Start(*reader, {30 * kMiB + 99, 8 * kMiB});
  EXPECT_EQ(ReadNow(*reader, {30 * kMiB + 99, 8 * kMiB + 1}).error().code, Errc::kInvalid);
  engine.SetMemory(8);
  EXPECT_EQ(fits.get().error().code, Errc::kInvalid);  // waited in line, and never will fit
  source_.ReleaseFetches();
  for (uint64_t i = 0; i < 20; ++i)
    EXPECT_TRUE(*reads[i].get() == Expected(object, {50 * kMiB + i * 5 * kMiB + 99, kMiB}));
  EXPECT_TRUE(*ReadNow(*reader, {99, 4 * kMiB}) == Expected(object, {99, 4 * kMiB}));
  const auto use = engine.memory_use();
  EXPECT_LE(use.used_bytes + use.kept_bytes, 8 * kMiB);
}

TEST_F(SegmentEngineMemoryTest, ReadersAtFullWidthGetEveryByteWhileTheMemoryChanges) {
  SegmentEngine& engine = Engine(64, 16);
  source_.SetChunkBytes(16 * kKiB);
  std::atomic<int> running_count = 4;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&, i] {
      const ObjectVersion object = Object(24 * kMiB + 777, "object" + std::to_string(i));
      ReadThrough(*engine.Open(object), object, 300 * kKiB);
      --running_count;
    });
  for (uint64_t turn = 0; running_count > 0; ++turn) engine.SetMemory(turn % 2 == 0 ? 8 : 64);
  for (std::thread& reader : readers) reader.join();
  ExpectNothingHeldSoon(engine);
}

TEST_F(SegmentEngineMemoryTest, ClosingEndsReadsThatWaitInLine) {
  SegmentEngine& engine = Engine(8, 16);
  auto reader = engine.Open(Object(200 * kMiB));
  const auto survivor = engine.Open(Object(200 * kMiB, "survivor"));
  source_.HoldFetches();
  std::vector<std::future<Outcome>> reads;
  for (uint64_t i = 0; i < 20; ++i) reads.push_back(Start(*reader, {i * 5 * kMiB + 99, kMiB}));
  auto other = Start(*survivor, {kMiB, kMiB});
  reader.reset();
  for (auto& read : reads) EXPECT_EQ(read.get().error().code, Errc::kInterrupted);
  source_.ReleaseFetches();
  EXPECT_TRUE(other.get());
}

TEST_F(SegmentEngineMemoryTest, ReadLargerThanHalfTheMemoryIsRefused) {
  const auto reader = Engine(16).Open(Object(200 * kMiB));
  EXPECT_EQ(ReadNow(*reader, {0, 8 * kMiB + 1}).error().code, Errc::kInvalid);
  EXPECT_TRUE(ReadNow(*reader, {4097, 8 * kMiB}));
}

TEST_F(SegmentEngineMemoryTest, PausedStreamsGiveWayToOthers) {
  SegmentEngine& engine = Engine(32, 16);
  std::vector<std::shared_ptr<ObjectReader>> paused;
  for (int i = 0; i < 8; ++i) {
    paused.push_back(engine.Open(Object(100 * kMiB, "paused" + std::to_string(i))));
    for (uint64_t offset = 0; offset < 8 * kMiB; offset += kMiB)
      ASSERT_TRUE(ReadNow(*paused.back(), {offset, kMiB}));
  }
  const ObjectVersion object = Object(32 * kMiB, "running");
  const auto reader = engine.Open(object);
  const size_t before = source_.fetch_count();
  ReadThrough(*reader, object, 128 * kKiB);
  EXPECT_LE(source_.fetch_count() - before, 64);  // far fewer than its 256 reads: read ahead
  EXPECT_LE(engine.memory_use().peak_bytes, 32 * kMiB);
}

}  // namespace
}  // namespace shoal
