#include "read/segment_store.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

class SegmentStoreTest : public testing::Test {
 protected:
  using Stream = std::shared_ptr<StreamAccount>;

  // A complete segment of 1 MiB that nobody holds.
  SegmentPointer Idle(uint64_t mib, const Stream& stream) {
    SegmentPointer segment = Held(mib, stream);
    store_.LetGo(segment);
    return segment;
  }
  SegmentPointer Held(uint64_t mib, const Stream& stream) {
    SegmentPointer segment = store_.Make(owner_, {mib * kMiB, kMiB}, stream);
    segment->filled_bytes = kMiB;
    return segment;
  }

  SegmentStore store_{8 * kMiB, kMiB};
  SegmentOwner owner_;
  const Stream one_ = std::make_shared<StreamAccount>();
  const Stream two_ = std::make_shared<StreamAccount>();
};

TEST_F(SegmentStoreTest, DemandEvictsRandomSegmentsFirstAndTheOldestOfThem) {
  const SegmentPointer unread = Idle(0, one_);
  const SegmentPointer old = Idle(1, nullptr);
  const SegmentPointer recent = Idle(2, nullptr);
  ASSERT_TRUE(store_.MakeRoomForDemand(6 * kMiB));
  EXPECT_TRUE(old->forgotten);
  EXPECT_FALSE(recent->forgotten);
  ASSERT_TRUE(store_.MakeRoomForDemand(8 * kMiB));
  EXPECT_TRUE(recent->forgotten);
  EXPECT_TRUE(unread->forgotten);
  EXPECT_TRUE(one_->setback);
  EXPECT_TRUE(owner_.segments.empty());
}

TEST_F(SegmentStoreTest, HeldSegmentIsNeverEvicted) {
  const SegmentPointer held = Held(0, one_);
  const SegmentPointer idle = Idle(1, one_);
  EXPECT_FALSE(store_.MakeRoomForDemand(8 * kMiB));
  EXPECT_FALSE(idle->forgotten);  // evicting it would not have helped
  store_.Forget(held);
  EXPECT_EQ(store_.pool().used_bytes(), 2 * kMiB);  // its reader still has the buffer
  store_.LetGo(held);
  EXPECT_EQ(store_.pool().used_bytes(), kMiB);
}

TEST_F(SegmentStoreTest, ReadAgainASegmentIsRecent) {
  const SegmentPointer first = Idle(0, nullptr);
  const SegmentPointer second = Idle(1, nullptr);
  store_.Hold(first);
  store_.LetGo(first);
  ASSERT_TRUE(store_.MakeRoomForDemand(7 * kMiB));
  EXPECT_TRUE(second->forgotten);
  EXPECT_FALSE(first->forgotten);
}

TEST_F(SegmentStoreTest, WhollyServedSegmentGoesAtOnce) {
  const SegmentPointer segment = Held(0, one_);
  segment->MarkServed(0, kMiB);
  store_.LetGo(segment);
  EXPECT_EQ(store_.pool().used_bytes(), 0);
  EXPECT_EQ(one_->bytes, 0);
}

TEST_F(SegmentStoreTest, PrefetchLeavesAQuarterToDemand) {
  for (uint64_t mib = 0; mib < 6; ++mib) {
    ASSERT_TRUE(store_.MakeRoomForPrefetch(*one_, kMiB));
    Idle(mib, one_);
  }
  EXPECT_FALSE(store_.MakeRoomForPrefetch(*one_, kMiB));
  EXPECT_FALSE(one_->setback);
}

TEST_F(SegmentStoreTest, PrefetchTakesFromAStreamThatHasMoreThanItsShare) {
  for (uint64_t mib = 0; mib < 6; ++mib) Idle(mib, one_);
  EXPECT_EQ(store_.ShareOf(*two_), 3 * kMiB);
  for (uint64_t mib = 10; mib < 13; ++mib) {
    ASSERT_TRUE(store_.MakeRoomForPrefetch(*two_, kMiB));
    Idle(mib, two_);
  }
  EXPECT_FALSE(store_.MakeRoomForPrefetch(*two_, kMiB));
  EXPECT_EQ(one_->bytes, 3 * kMiB);
  EXPECT_EQ(two_->bytes, 3 * kMiB);
}

TEST_F(SegmentStoreTest, PrefetchEvictsWhatRandomReadsLeft) {
  for (uint64_t mib = 0; mib < 8; ++mib) Idle(mib, nullptr);
  EXPECT_TRUE(store_.MakeRoomForPrefetch(*one_, 2 * kMiB));
  EXPECT_EQ(store_.pool().used_bytes(), 6 * kMiB);
}

TEST_F(SegmentStoreTest, ASmallerBudgetEvictsWhatNobodyHoldsAndTheRestGoesInItsTime) {
  const SegmentPointer held = Held(0, one_);
  const SegmentPointer also_held = Held(1, nullptr);
  const SegmentPointer unread = Idle(2, one_);
  const SegmentPointer read = Idle(3, nullptr);
  store_.SetBudget(3 * kMiB);
  EXPECT_TRUE(read->forgotten);
  EXPECT_FALSE(unread->forgotten);
  store_.SetBudget(kMiB);
  EXPECT_TRUE(unread->forgotten);
  EXPECT_EQ(store_.pool().used_bytes(), 2 * kMiB);
  EXPECT_EQ(store_.pool().free_bytes(), 0);
  EXPECT_FALSE(store_.MakeRoomForDemand(1));
  EXPECT_FALSE(store_.MakeRoomForPrefetch(*one_, 1));
  store_.LetGo(held);
  EXPECT_FALSE(store_.MakeRoomForDemand(1));  // the other one takes all of it
  store_.LetGo(also_held);
  EXPECT_TRUE(store_.MakeRoomForDemand(kMiB));
  EXPECT_EQ(store_.pool().used_bytes(), 0);
}

TEST_F(SegmentStoreTest, ALargerBudgetIsThereAtOnce) {
  const SegmentPointer held = Held(0, nullptr);
  EXPECT_FALSE(store_.MakeRoomForDemand(8 * kMiB));
  store_.SetBudget(9 * kMiB);
  EXPECT_TRUE(store_.MakeRoomForDemand(8 * kMiB));
  store_.LetGo(held);
}

TEST(BufferPool, KeepsNothingBeyondABudgetThatShrank) {
  BufferPool pool(8 * kMiB, kMiB);
  std::vector<Buffer> taken;
  for (int i = 0; i < 6; ++i) taken.push_back(pool.Take(kMiB));
  for (int i = 0; i < 3; ++i) {
    pool.GiveBack(std::move(taken.back()));
    taken.pop_back();
  }
  EXPECT_EQ(pool.kept_bytes(), 3 * kMiB);
  pool.SetBudget(2 * kMiB);
  EXPECT_EQ(pool.kept_bytes(), 0);
  EXPECT_EQ(pool.used_bytes(), 3 * kMiB);
  pool.GiveBack(std::move(taken.back()));
  EXPECT_EQ(pool.kept_bytes(), 0);
  EXPECT_EQ(pool.free_bytes(), 0);
  taken.pop_back();
  pool.GiveBack(std::move(taken.back()));
  EXPECT_EQ(pool.kept_bytes(), kMiB);
  EXPECT_EQ(pool.free_bytes(), kMiB);
  taken.pop_back();
  pool.GiveBack(std::move(taken.back()));
}

TEST(BufferPool, TakenAndKeptStayInsideTheBudget) {
  BufferPool pool(8 * kMiB, kMiB);
  std::vector<Buffer> taken;
  for (int i = 0; i < 8; ++i) taken.push_back(pool.Take(kMiB));
  const std::byte* last = taken.back().data();
  EXPECT_EQ(pool.free_bytes(), 0);
  while (!taken.empty()) {
    pool.GiveBack(std::move(taken.front()));
    taken.erase(taken.begin());
  }
  EXPECT_EQ(pool.kept_bytes(), 8 * kMiB);
  Buffer warm = pool.Take(kMiB);
  EXPECT_EQ(warm.data(), last);  // the last one back is the one in the cache
  Buffer small = pool.Take(5000);
  EXPECT_EQ(small.size_bytes(), 8192);
  EXPECT_LE(pool.used_bytes() + pool.kept_bytes(), 8 * kMiB);
  pool.GiveBack(std::move(small));
  pool.GiveBack(std::move(warm));
  EXPECT_EQ(pool.used_bytes(), 0);
  pool.Trim();
  EXPECT_LE(pool.kept_bytes(), 4 * kMiB);
  EXPECT_EQ(pool.peak_bytes(), 8 * kMiB);
}

}  // namespace
}  // namespace shoal
