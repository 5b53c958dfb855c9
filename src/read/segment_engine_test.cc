#include "read/segment_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <future>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "testing/segment_engine_fixture.h"

namespace shoal {
namespace {

class SegmentEngineTest : public SegmentEngineFixture {};

TEST_F(SegmentEngineTest, ReadsTheEndOfAnObjectShortAndPastItNothing) {
  const ObjectVersion object = Object(100'000);
  SegmentEngine& engine = Engine();
  const auto reader = engine.Open(object);
  EXPECT_TRUE(*ReadNow(*reader, {90'000, 50'000}) == Expected(object, {90'000, 10'000}));
  EXPECT_TRUE(ReadNow(*reader, {100'000, 10})->empty());
  EXPECT_TRUE(ReadNow(*reader, {1'000'000, 10})->empty());
  EXPECT_TRUE(ReadNow(*reader, {10, 0})->empty());
  EXPECT_TRUE(ReadNow(*engine.Open(Object(0, "empty")), {0, 4096})->empty());
}

TEST_F(SegmentEngineTest, SequentialPassFetchesEveryByteOnce) {
  for (const uint64_t step : {64 * kKiB, 128 * kKiB, kMiB, 3 * kMiB + 4096, 1000 * kKiB}) {
    MemoryRangeSource source;
    SegmentEngine engine({.memory_mib = 64, .fetch_count_max = 8}, source, clock_);
    const ObjectVersion object = Object(12 * kMiB + 12'345);
    const auto reader = engine.Open(object);
    ReadThrough(*reader, object, step);
    EXPECT_EQ(source.asked_bytes(), object.size_bytes) << "step " << step;
    EXPECT_LE(engine.memory_use().peak_bytes, 64 * kMiB);
  }
}

TEST_F(SegmentEngineTest, ASequentialPassIsFetchedByWholeBlocksOfTheSizeGiven) {
  for (const uint64_t block_bytes : {64 * kKiB, 256 * kKiB, kMiB, 8 * kMiB}) {
    MemoryRangeSource source;
    SegmentEngine engine({.segment_bytes = block_bytes}, source, clock_);
    const ObjectVersion object = Object(40 * kMiB + 12'345);
    ReadThrough(*engine.Open(object), object, 64 * kKiB);
    uint64_t least_bytes = object.size_bytes;
    for (const auto& [range, purpose, rounding_bytes] : source.requests()) {
      EXPECT_EQ(range.offset % block_bytes, 0U) << "blocks of " << block_bytes;
      if (range.end() == object.size_bytes) continue;
      EXPECT_EQ(range.end() % block_bytes, 0U) << "blocks of " << block_bytes;
      least_bytes = std::min(least_bytes, range.length);
    }
    EXPECT_EQ(least_bytes, block_bytes);  // the first, before anything is known
    EXPECT_EQ(source.asked_bytes(), object.size_bytes);
  }
}

TEST_F(SegmentEngineTest, KernelReadAheadInAnyOrderFetchesEveryByteOnce) {
  const ObjectVersion object = Object(32 * kMiB);
  const auto reader = Engine().Open(object);
  std::mt19937_64 random(7);
  for (uint64_t window = 0; window < object.size_bytes; window += 4 * kMiB) {
    std::vector<uint64_t> offsets{window, window + kMiB, window + 2 * kMiB, window + 3 * kMiB};
    std::shuffle(offsets.begin() + (window == 0 ? 1 : 0), offsets.end(), random);
    std::vector<std::future<Outcome>> reads;
    for (const uint64_t offset : offsets) reads.push_back(Start(*reader, {offset, kMiB}));
    for (size_t i = 0; i < reads.size(); ++i)
      ASSERT_TRUE(*reads[i].get() == Expected(object, {offsets[i], kMiB}));
  }
  EXPECT_EQ(source_.asked_bytes(), object.size_bytes);
}

TEST_F(SegmentEngineTest, RandomReadsFetchTheirPagesOnly) {
  const ObjectVersion object = Object(1024 * kMiB);
  const auto reader = Engine(256).Open(object);
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    const ByteRange range{random() % (object.size_bytes / 4096) * 4096, 4096};
    ASSERT_TRUE(*ReadNow(*reader, range) == Expected(object, range));
  }
  EXPECT_LE(source_.asked_bytes(), 33 * kMiB / 10);
  for (const auto& request : source_.requests()) {
    EXPECT_EQ(request.range.offset % (16 * kKiB), 0);
    EXPECT_EQ(request.purpose, Purpose::kRead);
  }
}

TEST_F(SegmentEngineTest, WhatIsReadOnlyToFillPagesIsToldFromWhatWasAskedFor) {
  const ObjectVersion object = Object(64 * kMiB);
  const auto reader = Engine(256).Open(object);
  ASSERT_TRUE(ReadNow(*reader, {40 * kMiB + 4096, 4096}));
  EXPECT_EQ(source_.requests().back().range, (ByteRange{40 * kMiB, 16 * kKiB}));
  EXPECT_EQ(source_.requests().back().rounding_bytes, 12 * kKiB);
  ASSERT_TRUE(ReadNow(*reader, {20 * kMiB, 32 * kKiB}));
  EXPECT_EQ(source_.requests().back().rounding_bytes, 0);
  ReadThrough(*reader, object, 100'000);
  const auto requests = source_.requests();
  EXPECT_EQ(std::ranges::count_if(requests,
                                  [](const auto& request) { return request.rounding_bytes > 0; }),
            1);
}

TEST_F(SegmentEngineTest, SmallFileIsFetchedWholeByItsFirstRead) {
  const ObjectVersion object = Object(700'001);
  const auto reader = Engine().Open(object);
  ReadThrough(*reader, object, 128 * kKiB);
  ASSERT_EQ(source_.fetch_count(), 1);
  EXPECT_EQ(source_.requests()[0].range, (ByteRange{0, 700'001}));
}

// A cache that keeps what passes has a stream's next bytes at hand before the reader comes.
// Taken from there, they would hide the reader from the engine, which then reads nothing ahead.
TEST_F(SegmentEngineTest, AStreamIsReadAheadOfAlsoWhereACacheHasItsNextBytes) {
  const ObjectVersion object = Object(32 * kMiB);
  source_.KeepWhatIsAskedFor();
  const auto reader = Engine().Open(object);
  std::vector<std::byte> out(128 * kKiB);
  for (uint64_t offset = 0; offset < object.size_bytes; offset += out.size()) {
    const ByteRange range{offset, out.size()};
    if (reader->ReadNow(offset, out)) {
      ASSERT_TRUE(out == Expected(object, range));
    } else {
      ASSERT_TRUE(*ReadNow(*reader, range) == Expected(object, range));
    }
  }
  EXPECT_EQ(source_.asked_bytes(), object.size_bytes);
  const auto requests = source_.requests();
  EXPECT_TRUE(std::ranges::any_of(
      requests, [](const auto& request) { return request.purpose == Purpose::kReadahead; }));
  // Elsewhere in the object the cache answers.
  EXPECT_EQ(reader->ReadNow(kMiB, out), out.size());
}

TEST_F(SegmentEngineTest, SixtyFourReadersOfOneColdRangeCauseOneFetch) {
  const ObjectVersion object = Object(10 * kMiB);
  SegmentEngine& engine = Engine();
  source_.HoldFetches();
  const ByteRange range{5 * kMiB + 5000, 100'000};
  std::vector<std::shared_ptr<ObjectReader>> readers(64);
  std::vector<std::future<Outcome>> reads(64);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 64; ++i)
    threads.emplace_back([&, i] {
      readers[i] = engine.Open(object);
      reads[i] = Start(*readers[i], range);
    });
  for (std::thread& thread : threads) thread.join();
  source_.WaitForHeld(1);
  source_.ReleaseFetches();
  for (auto& read : reads) EXPECT_TRUE(*read.get() == Expected(object, range));
  EXPECT_EQ(source_.fetch_count(), 1);
}

TEST_F(SegmentEngineTest, SameVersionHasOneReaderAndAnotherVersionAnother) {
  SegmentEngine& engine = Engine();
  const auto first = engine.Open(Object(100));
  EXPECT_EQ(first, engine.Open(Object(100)));
  ObjectVersion changed = Object(100);
  changed.etag = "\"e2\"";
  const auto second = engine.Open(changed);
  EXPECT_NE(first, second);
  EXPECT_TRUE(*ReadNow(*first, {0, 100}) == Expected(Object(100), {0, 100}));
  EXPECT_TRUE(*ReadNow(*second, {0, 100}) == Expected(changed, {0, 100}));
}

TEST_F(SegmentEngineTest, ReadIsAnsweredBeforeItsFetchEnds) {
  const ObjectVersion object = Object(10 * kMiB);
  const auto reader = Engine().Open(object);
  source_.HoldFetches(256 * kKiB);
  // The first read of a file makes its fetch as long as a segment.
  EXPECT_TRUE(*ReadNow(*reader, {0, 128 * kKiB}) == Expected(object, {0, 128 * kKiB}));
  source_.WaitForHeld(1);
  EXPECT_TRUE(Ready(Start(*reader, {128 * kKiB, 128 * kKiB})));
  auto one_more = Start(*reader, {128 * kKiB, 128 * kKiB + 1});
  auto rest = Start(*reader, {128 * kKiB, 256 * kKiB});
  EXPECT_FALSE(Ready(one_more));
  EXPECT_FALSE(Ready(rest));
  source_.ReleaseFetches();
  EXPECT_TRUE(*rest.get() == Expected(object, {128 * kKiB, 256 * kKiB}));
}

TEST_F(SegmentEngineTest, InterleavedStreamsAreEachReadAhead) {
  const ObjectVersion object = Object(32 * kMiB);
  const auto reader = Engine(64).Open(object);
  constexpr uint64_t kSlice = 8 * kMiB;
  for (uint64_t at = 0; at < kSlice; at += 256 * kKiB)
    for (uint64_t slice = 0; slice < 4; ++slice) {
      const ByteRange range{slice * kSlice + at, 256 * kKiB};
      ASSERT_TRUE(*ReadNow(*reader, range) == Expected(object, range));
    }
  // Each stream but the last looks a little into the slice of the next.
  EXPECT_LE(source_.asked_bytes(), object.size_bytes + 3 * kMiB);
  EXPECT_LE(source_.fetch_count(), 64);
}

TEST_F(SegmentEngineTest, ClosingEndsReadsAndFetches) {
  const ObjectVersion object = Object(100 * kMiB);
  SegmentEngine& engine = Engine();
  auto reader = engine.Open(object);
  source_.HoldFetches(64 * kKiB);
  auto read = Start(*reader, {0, kMiB});
  source_.WaitForHeld(2);  // the read's fetch, and one ahead of it
  reader.reset();
  EXPECT_EQ(read.get().error().code, Errc::kInterrupted);
  source_.ReleaseFetches();
  source_.WaitForNone();
  EXPECT_LE(source_.sent_bytes(), 2 * 64 * kKiB);
  engine_.reset();  // waits for the threads
}

TEST_F(SegmentEngineTest, DemandDoesNotWaitBehindReadAhead) {
  const ObjectVersion object = Object(100 * kMiB);
  const ObjectVersion other = Object(100 * kMiB, "other");
  SegmentEngine& engine = Engine(64, 4);
  const auto stream = engine.Open(object);
  const auto random = engine.Open(other);
  ReadUntilWindowIsOpen(*stream);
  source_.HoldFetches();
  // What was read ahead is read, and more asked for: all the threads it may have, and a queue.
  for (uint64_t offset = 13 * kMiB; offset < 21 * kMiB; offset += kMiB)
    ASSERT_TRUE(ReadNow(*stream, {offset, kMiB}));
  source_.WaitForHeld(3);
  auto read = Start(*random, {50 * kMiB, 4096});
  source_.WaitForHeld(4);
  EXPECT_EQ(source_.requests().back().purpose, Purpose::kRead);
  source_.ReleaseFetches();
  EXPECT_TRUE(*read.get() == Expected(other, {50 * kMiB, 4096}));
}

TEST_F(SegmentEngineTest, ReadAheadThatAReadWaitsForIsReadAheadNoMore) {
  const ObjectVersion object = Object(100 * kMiB);
  const auto reader = Engine(64, 4).Open(object);
  ReadUntilWindowIsOpen(*reader);
  source_.HoldFetches();
  for (uint64_t offset = 13 * kMiB; offset < 21 * kMiB; offset += kMiB)
    ASSERT_TRUE(ReadNow(*reader, {offset, kMiB}));
  source_.WaitForHeld(3);  // all it may have; the last, of 27 to 29 MiB, is queued
  auto read = Start(*reader, {28 * kMiB, 4096});
  source_.WaitForHeld(4);
  EXPECT_EQ(source_.requests().back().range, (ByteRange{27 * kMiB, 2 * kMiB}));
  EXPECT_EQ(source_.requests().back().purpose, Purpose::kRead);
  source_.ReleaseFetches();
  EXPECT_TRUE(*read.get() == Expected(object, {28 * kMiB, 4096}));
}

}  // namespace
}  // namespace shoal
