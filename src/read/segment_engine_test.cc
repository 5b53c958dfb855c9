#include "read/segment_engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <random>
#include <thread>

#include "testing/eventually.h"
#include "testing/fake_clock.h"
#include "testing/memory_range_source.h"

namespace shoal {
namespace {

using Bytes = std::vector<std::byte>;
using Outcome = Result<Bytes>;

Bytes Expected(const ObjectVersion& object, ByteRange range) {
  Bytes bytes(range.length);
  MemoryRangeSource::Generate(object, range.offset, bytes);
  return bytes;
}

std::future<Outcome> Start(ObjectReader& reader, ByteRange range) {
  auto promise = std::make_shared<std::promise<Outcome>>();
  std::future<Outcome> future = promise->get_future();
  reader.Read(range, [promise](auto result) {
    if (!result) {
      promise->set_value(tl::unexpected(result.error()));
      return;
    }
    Bytes bytes;
    for (const std::span<const std::byte> piece : *result)
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    promise->set_value(std::move(bytes));
  });
  return future;
}

Outcome ReadNow(ObjectReader& reader, ByteRange range) {
  return Start(reader, range).get();
}

bool Ready(const std::future<Outcome>& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

class SegmentEngineTest : public testing::Test {
 protected:
  static ObjectVersion Object(uint64_t size_bytes, std::string key = "data/weights.bin") {
    return {.key = std::move(key), .etag = "\"e1\"", .size_bytes = size_bytes};
  }
  // Reads the object from front to back and compares every byte.
  static void ReadThrough(ObjectReader& reader, const ObjectVersion& object, uint64_t step) {
    for (uint64_t offset = 0; offset < object.size_bytes; offset += step) {
      const ByteRange range{offset, std::min(step, object.size_bytes - offset)};
      const Outcome read = ReadNow(reader, range);
      ASSERT_TRUE(read) << read.error().detail;
      ASSERT_TRUE(*read == Expected(object, range)) << "at " << offset;
    }
  }
  SegmentEngine& Engine(uint64_t memory_mib = 64, uint64_t fetch_count_max = 16) {
    engine_ = std::make_unique<SegmentEngine>(
        ReadOptions{.memory_mib = memory_mib, .fetch_count_max = fetch_count_max}, source_, clock_);
    return *engine_;
  }

  // Reads 13 MiB of a new object, so that 8 MiB ahead of there lie in memory and nothing
  // is under way: reads that are made to wait open the window as far as waiting can.
  void ReadUntilWindowIsOpen(ObjectReader& reader) {
    source_.HoldFetches();
    std::vector<std::future<Outcome>> reads;
    for (uint64_t mib = 0; mib < 4; ++mib) reads.push_back(Start(reader, {mib * kMiB, kMiB}));
    source_.ReleaseFetches();
    for (auto& read : reads) ASSERT_TRUE(read.get());
    source_.WaitForNone();  // what a read tells the window comes after its answer
    for (uint64_t mib = 4; mib < 13; ++mib) ASSERT_TRUE(ReadNow(reader, {mib * kMiB, kMiB}));
    source_.WaitForSent(21 * kMiB);
    source_.WaitForNone();
  }

  // A fetch that was under way when its last reader went holds its memory until it notices.
  static void ExpectNothingHeldSoon(SegmentEngine& engine) {
    EXPECT_TRUE(Eventually([&] { return engine.memory_use().used_bytes == 0; }));
  }

  FakeClock clock_;
  MemoryRangeSource source_;
  std::unique_ptr<SegmentEngine> engine_;
};

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

TEST_F(SegmentEngineTest, BlocksAreNoMoreThanAnEighthOfTheMemory) {
  SegmentEngine engine({.memory_mib = 20, .segment_bytes = 8 * kMiB}, source_, clock_);
  const ObjectVersion object = Object(16 * kMiB);
  ReadThrough(*engine.Open(object), object, kMiB);
  EXPECT_EQ(source_.requests().front().range, (ByteRange{0, 2 * kMiB}));
  EXPECT_EQ(source_.asked_bytes(), object.size_bytes);
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

TEST_F(SegmentEngineTest, FailedFetchFailsItsReadersAndIsForgotten) {
  const ObjectVersion object = Object(10 * kMiB);
  const auto reader = Engine().Open(object);
  source_.FailNext({Errc::kUnreachable, "cut"}, 20'000);
  source_.HoldFetches();
  auto inside = Start(*reader, {4 * kMiB, 64 * kKiB});
  auto front = Start(*reader, {4 * kMiB, 10'000});
  source_.WaitForHeld(1);
  source_.ReleaseFetches();
  EXPECT_EQ(inside.get().error(), (Error{Errc::kUnreachable, "cut"}));
  EXPECT_TRUE(*front.get() == Expected(object, {4 * kMiB, 10'000}));  // its bytes had come
  EXPECT_TRUE(*ReadNow(*reader, {4 * kMiB, 64 * kKiB}) == Expected(object, {4 * kMiB, 64 * kKiB}));
}

TEST_F(SegmentEngineTest, AFetchThatFailsFailsNobodyElseWhoHasTimeLeft) {
  const ObjectVersion object = Object(20 * kMiB);
  const auto reader = Engine().Open(object);
  source_.HoldFetches();
  source_.FailNext({Errc::kTimedOut, "it hangs"});
  auto first = Start(*reader, {4 * kMiB, 64 * kKiB});
  source_.WaitForHeld(1);
  auto with_it = Start(*reader, {4 * kMiB, 64 * kKiB});
  auto beside = Start(*reader, {4 * kMiB + 64 * kKiB, 64 * kKiB});
  source_.WaitForHeld(2);
  clock_.Advance(std::chrono::seconds(25));
  auto later = Start(*reader, {4 * kMiB, 64 * kKiB});
  auto of_both = Start(*reader, {4 * kMiB, 128 * kKiB});
  clock_.Advance(std::chrono::seconds(5));  // the deadline of the first two
  source_.ReleaseFetches();
  EXPECT_EQ(first.get().error(), (Error{Errc::kTimedOut, "it hangs"}));
  EXPECT_EQ(with_it.get().error(), (Error{Errc::kTimedOut, "it hangs"}));
  EXPECT_TRUE(beside.get());
  EXPECT_TRUE(*later.get() == Expected(object, {4 * kMiB, 64 * kKiB}));
  EXPECT_TRUE(*of_both.get() == Expected(object, {4 * kMiB, 128 * kKiB}));
}

TEST_F(SegmentEngineTest, AReadThatTheStoreFailedToAnswerIsNotAskedForAgainForASecond) {
  const ObjectVersion object = Object(20 * kMiB);
  const auto reader = Engine().Open(object);
  const Error hangs{Errc::kTimedOut, "it hangs"};
  source_.FailNext(hangs);
  EXPECT_EQ(ReadNow(*reader, {4 * kMiB, 128 * kKiB}).error(), hangs);
  for (const ByteRange again : {ByteRange{4 * kMiB, 4096}, ByteRange{4 * kMiB + 124 * kKiB, 4096},
                                ByteRange{4 * kMiB - 4096, 4097}})
    EXPECT_EQ(ReadNow(*reader, again).error(), hangs) << again.offset;
  clock_.Advance(std::chrono::milliseconds(999));
  EXPECT_EQ(ReadNow(*reader, {4 * kMiB, 128 * kKiB}).error(), hangs);
  EXPECT_EQ(source_.fetch_count(), 1u);
  EXPECT_TRUE(ReadNow(*reader, {4 * kMiB + 128 * kKiB, 4096})) << "it was not asked for";
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_TRUE(*ReadNow(*reader, {4 * kMiB, 4096}) == Expected(object, {4 * kMiB, 4096}));
}

TEST_F(SegmentEngineTest, ButForWhatACacheHasOfIt) {
  const ObjectVersion object = Object(20 * kMiB);
  const auto reader = Engine().Open(object);
  source_.SetNear({4 * kMiB + 64 * kKiB, 16 * kKiB});
  source_.FailNext({Errc::kTimedOut, "it hangs"});
  EXPECT_FALSE(ReadNow(*reader, {4 * kMiB, 128 * kKiB})) << "its first page is in no cache";
  EXPECT_TRUE(ReadNow(*reader, {4 * kMiB + 68 * kKiB, 4096}));
  EXPECT_FALSE(ReadNow(*reader, {4 * kMiB + 76 * kKiB, 8192})) << "half of it is not there";
}

TEST_F(SegmentEngineTest, AReadOfWhichSomeBytesCameIsAskedForAgainAtOnce) {
  const ObjectVersion object = Object(20 * kMiB);
  const auto reader = Engine().Open(object);
  source_.FailNext({Errc::kTimedOut, "slow"}, 20'000);
  EXPECT_FALSE(ReadNow(*reader, {4 * kMiB, 128 * kKiB}));
  EXPECT_TRUE(*ReadNow(*reader, {4 * kMiB, 4096}) == Expected(object, {4 * kMiB, 4096}));
}

TEST_F(SegmentEngineTest, AReadAheadThatFailsFailsNoRead) {
  const ObjectVersion object = Object(100 * kKiB);
  SegmentEngine& engine = Engine();
  source_.HoldFetches();
  source_.FailNext({Errc::kUnreachable, "not for them"});
  const auto reader = engine.Foresee(object);
  source_.WaitForHeld(1);
  auto first = Start(*reader, {0, 64 * kKiB});
  auto second = Start(*reader, {64 * kKiB, 36 * kKiB});
  source_.ReleaseFetches();
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(*second.get() == Expected(object, {64 * kKiB, 36 * kKiB}));
}

TEST_F(SegmentEngineTest, WhereEveryFetchFailsEachReadFailsWithOneOfItsOwn) {
  const auto reader = Engine().Open(Object(10 * kMiB));
  constexpr int kReadCount = 20;
  source_.HoldFetches();
  std::vector<std::future<Outcome>> reads;
  for (int i = 0; i < kReadCount; ++i) {
    source_.FailNext({Errc::kUnreachable, "cut"});
    reads.push_back(Start(*reader, {4 * kMiB, 64 * kKiB}));
  }
  source_.WaitForHeld(1);
  source_.ReleaseFetches();
  for (auto& read : reads) EXPECT_EQ(read.get().error(), (Error{Errc::kUnreachable, "cut"}));
  EXPECT_EQ(source_.fetch_count(), size_t{kReadCount});
}

TEST_F(SegmentEngineTest, WhatNoOtherFetchCouldBringFailsAllWhoWaitForIt) {
  const auto reader = Engine().Open(Object(10 * kMiB));
  source_.HoldFetches();
  source_.FailNext({Errc::kChanged, "replaced"});
  auto first = Start(*reader, {4 * kMiB, 64 * kKiB});
  auto second = Start(*reader, {4 * kMiB, 64 * kKiB});
  source_.WaitForHeld(1);
  source_.ReleaseFetches();
  EXPECT_EQ(first.get().error(), (Error{Errc::kChanged, "replaced"}));
  EXPECT_EQ(second.get().error(), (Error{Errc::kChanged, "replaced"}));
  EXPECT_EQ(source_.fetch_count(), 1u);
}

TEST_F(SegmentEngineTest, ObjectThatIsGoneHasChanged) {
  const auto reader = Engine().Open(Object(10 * kMiB));
  source_.FailNext({Errc::kNotFound, "no such key"});
  EXPECT_EQ(ReadNow(*reader, {2 * kMiB, 4096}).error().code, Errc::kChanged);
}

TEST_F(SegmentEngineTest, SourceThatEndsEarlyIsNotBelieved) {
  const auto reader = Engine().Open(Object(10 * kMiB));
  source_.CutShortNext(100);
  EXPECT_EQ(ReadNow(*reader, {2 * kMiB, 4096}).error().code, Errc::kUnreachable);
}

TEST_F(SegmentEngineTest, ReadOverSeveralFetchesFailsOnceWhenOneFails) {
  const ObjectVersion object = Object(20 * kMiB);
  const auto reader = Engine().Open(object);
  source_.HoldFetches();
  auto first = Start(*reader, {8 * kMiB, 16 * kKiB});
  auto second = Start(*reader, {9 * kMiB, 16 * kKiB});
  source_.WaitForHeld(2);
  source_.FailNext({Errc::kUnreachable, "the gap"});
  auto all = Start(*reader, {8 * kMiB, kMiB + 16 * kKiB});
  source_.WaitForHeld(3);
  source_.ReleaseFetches();
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  EXPECT_EQ(all.get().error().detail, "the gap");
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

TEST_F(SegmentEngineTest, NothingOpenHoldsNoMemory) {
  const ObjectVersion object = Object(64 * kMiB);
  SegmentEngine& engine = Engine();
  auto reader = engine.Open(object);
  ReadUntilWindowIsOpen(*reader);
  EXPECT_EQ(engine.memory_use().used_bytes, 8 * kMiB);
  reader.reset();
  ExpectNothingHeldSoon(engine);
  EXPECT_LE(engine.memory_use().kept_bytes, 4 * kMiB);
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

TEST_F(SegmentEngineTest, SixtyFourFilesAtOnceStayInsideASmallBudget) {
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

TEST_F(SegmentEngineTest, ReadsWaitInLineWhenMemoryIsOut) {
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

TEST_F(SegmentEngineTest, MemoryThatGrowsLetsReadsInLineGoOnAtOnce) {
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

TEST_F(SegmentEngineTest, MemoryThatShrinksIsGivenBackAsReadsEndAndFailsNoneThatStillFits) {
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

TEST_F(SegmentEngineTest, ReadersAtFullWidthGetEveryByteWhileTheMemoryChanges) {
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

TEST_F(SegmentEngineTest, ClosingEndsReadsThatWaitInLine) {
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

TEST_F(SegmentEngineTest, ReadLargerThanHalfTheMemoryIsRefused) {
  const auto reader = Engine(16).Open(Object(200 * kMiB));
  EXPECT_EQ(ReadNow(*reader, {0, 8 * kMiB + 1}).error().code, Errc::kInvalid);
  EXPECT_TRUE(ReadNow(*reader, {4097, 8 * kMiB}));
}

TEST_F(SegmentEngineTest, PausedStreamsGiveWayToOthers) {
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

// Sixteen threads read at random, openly and in runs, while fetches fail at random and
// handles come and go. Every answer is right or an error that was injected.
TEST_F(SegmentEngineTest, RandomReadsUnderFailuresMatchTheObject) {
  SegmentEngine& engine = Engine(16, 8);
  source_.FailAtRandom(20, 42);
  source_.SetChunkBytes(10'007);
  std::vector<ObjectVersion> objects;
  for (int i = 0; i < 4; ++i)
    objects.push_back(
        Object(3 * kMiB * static_cast<uint64_t>(i + 1) + 4321, "object" + std::to_string(i)));
  std::atomic<int> failed_count = 0;
  std::atomic<int> right_count = 0;
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 16; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      for (int round = 0; round < 8; ++round) {
        const ObjectVersion& object = objects[random() % objects.size()];
        const auto reader = engine.Open(object);
        const bool sequential = random() % 2 == 0;
        uint64_t offset = random() % object.size_bytes;
        for (int i = 0; i < 15; ++i) {
          const ByteRange range{offset, 1 + random() % (random() % 4 == 0 ? kMiB : 30'000)};
          const uint64_t length = std::min(range.length, object.size_bytes - offset);
          const Outcome read = ReadNow(*reader, range);
          if (!read) {
            ASSERT_EQ(read.error().detail, "at random");
            ++failed_count;
          } else {
            ASSERT_TRUE(*read == Expected(object, {offset, length}));
            ++right_count;
          }
          offset =
              sequential ? (offset + length) % object.size_bytes : random() % object.size_bytes;
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(failed_count, 0);
  EXPECT_GT(right_count, 1000);
  EXPECT_LE(engine.memory_use().peak_bytes, 16 * kMiB);
}

}  // namespace
}  // namespace shoal
