// What a SegmentEngine answers when the source of its bytes fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "testing/segment_engine_fixture.h"

namespace shoal {
namespace {

class SegmentEngineFailureTest : public SegmentEngineFixture {};

TEST_F(SegmentEngineFailureTest, FailedFetchFailsItsReadersAndIsForgotten) {
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

TEST_F(SegmentEngineFailureTest, AFetchThatFailsFailsNobodyElseWhoHasTimeLeft) {
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

TEST_F(SegmentEngineFailureTest, AReadThatTheStoreFailedToAnswerIsNotAskedForAgainForASecond) {
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

TEST_F(SegmentEngineFailureTest, ButForWhatACacheHasOfIt) {
  const ObjectVersion object = Object(20 * kMiB);
  const auto reader = Engine().Open(object);
  source_.SetNear({4 * kMiB + 64 * kKiB, 16 * kKiB});
  source_.FailNext({Errc::kTimedOut, "it hangs"});
  EXPECT_FALSE(ReadNow(*reader, {4 * kMiB, 128 * kKiB})) << "its first page is in no cache";
  EXPECT_TRUE(ReadNow(*reader, {4 * kMiB + 68 * kKiB, 4096}));
  EXPECT_FALSE(ReadNow(*reader, {4 * kMiB + 76 * kKiB, 8192})) << "half of it is not there";
}

TEST_F(SegmentEngineFailureTest, AReadOfWhichSomeBytesCameIsAskedForAgainAtOnce) {
  const ObjectVersion object = Object(20 * kMiB);
  const auto reader = Engine().Open(object);
  source_.FailNext({Errc::kTimedOut, "slow"}, 20'000);
  EXPECT_FALSE(ReadNow(*reader, {4 * kMiB, 128 * kKiB}));
  EXPECT_TRUE(*ReadNow(*reader, {4 * kMiB, 4096}) == Expected(object, {4 * kMiB, 4096}));
}

TEST_F(SegmentEngineFailureTest, AReadAheadThatFailsFailsNoRead) {
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

TEST_F(SegmentEngineFailureTest, WhereEveryFetchFailsEachReadFailsWithOneOfItsOwn) {
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

TEST_F(SegmentEngineFailureTest, WhatNoOtherFetchCouldBringFailsAllWhoWaitForIt) {
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

TEST_F(SegmentEngineFailureTest, ObjectThatIsGoneHasChanged) {
  const auto reader = Engine().Open(Object(10 * kMiB));
  source_.FailNext({Errc::kNotFound, "no such key"});
  EXPECT_EQ(ReadNow(*reader, {2 * kMiB, 4096}).error().code, Errc::kChanged);
}

TEST_F(SegmentEngineFailureTest, SourceThatEndsEarlyIsNotBelieved) {
  const auto reader = Engine().Open(Object(10 * kMiB));
  source_.CutShortNext(100);
  EXPECT_EQ(ReadNow(*reader, {2 * kMiB, 4096}).error().code, Errc::kUnreachable);
}

TEST_F(SegmentEngineFailureTest, ReadOverSeveralFetchesFailsOnceWhenOneFails) {
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

// Sixteen threads read at random, openly and in runs, while fetches fail at random and
// handles come and go. Every answer is right or an error that was injected.
TEST_F(SegmentEngineFailureTest, RandomReadsUnderFailuresMatchTheObject) {
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
