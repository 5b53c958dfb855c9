#include "cache/cache_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

namespace shoal {
namespace {

using ::testing::Each;
using ::testing::Ge;

ObjectDigest Digest(uint64_t number) {
  return ObjectDigest::Of(std::to_string(number));
}

bool KeepNone(const ObjectDigest&) {
  return false;
}

TEST(CacheIndex, KnowsWhatWasPutAndHowMuchRoomItTakes) {
  CacheIndex index;
  EXPECT_EQ(index.object_count(), 0u);
  EXPECT_EQ(index.Victim(KeepNone), std::nullopt);
  EXPECT_TRUE(index.Put(Digest(1), 10));
  EXPECT_TRUE(index.Put(Digest(2), 1U << 31));
  EXPECT_TRUE(index.Put(Digest(3), 1U << 31));
  EXPECT_TRUE(index.Put(Digest(1), 7));  // it shrank
  EXPECT_EQ(index.block_count(Digest(1)), 7u);
  EXPECT_EQ(index.total_blocks(), (1ULL << 32) + 7);
  EXPECT_EQ(index.object_count(), 3u);
  index.Remove(Digest(2));
  index.Remove(Digest(2));
  EXPECT_FALSE(index.Contains(Digest(2)));
  EXPECT_EQ(index.block_count(Digest(2)), 0u);
  EXPECT_EQ(index.total_blocks(), (1ULL << 31) + 7);
  EXPECT_EQ(index.object_count(), 2u);
}

TEST(CacheIndex, AnObjectPutAfreshIsNotVerified) {
  CacheIndex index;
  index.SetVerified(Digest(1));  // not here
  index.Put(Digest(1), 1);
  EXPECT_FALSE(index.IsVerified(Digest(1)));
  index.SetVerified(Digest(1));
  index.Put(Digest(1), 2);
  index.Touch(Digest(1));
  EXPECT_TRUE(index.IsVerified(Digest(1)));
  index.Remove(Digest(1));
  EXPECT_FALSE(index.IsVerified(Digest(1)));
  index.Put(Digest(1), 1);
  EXPECT_FALSE(index.IsVerified(Digest(1)));
}

TEST(CacheIndex, EvictsTheOldestOfWhatWasNotUsed) {
  CacheIndex index;
  for (uint64_t i = 0; i < 100; ++i) index.Put(Digest(i), 1);
  for (uint64_t i = 0; i < 50; ++i) {
    index.Touch(Digest(i));
    index.Touch(Digest(i));
  }
  std::vector<uint64_t> numbers;
  std::map<ObjectDigest, uint64_t> number_of;
  for (uint64_t i = 0; i < 100; ++i) number_of[Digest(i)] = i;
  for (int i = 0; i < 45; ++i) {
    const ObjectDigest victim = index.Victim(KeepNone).value();
    numbers.push_back(number_of.at(victim));
    index.Remove(victim);
  }
  EXPECT_THAT(numbers, Each(Ge(50u)));
}

TEST(CacheIndex, AVictimStaysUntilRemovedAndIsNotNamedTwice) {
  CacheIndex index;
  constexpr uint64_t kCount = 1000;
  for (uint64_t i = 0; i < kCount; ++i) index.Put(Digest(i), 3);
  std::set<ObjectDigest> victims;
  while (const auto victim = index.Victim(KeepNone)) {
    EXPECT_TRUE(index.Contains(*victim));
    index.Touch(*victim);
    EXPECT_TRUE(victims.insert(*victim).second);
  }
  EXPECT_EQ(victims.size(), kCount);
  EXPECT_EQ(index.total_blocks(), 3 * kCount);
  EXPECT_EQ(index.object_count(), kCount);
  for (const ObjectDigest& victim : victims) index.Remove(victim);
  EXPECT_EQ(index.total_blocks(), 0u);
  EXPECT_EQ(index.object_count(), 0u);
}

TEST(CacheIndex, AVictimThatIsPutIsAnObjectAsAnyOther) {
  CacheIndex index;
  index.Put(Digest(1), 5);
  const ObjectDigest victim = index.Victim(KeepNone).value();
  EXPECT_EQ(index.Victim(KeepNone), std::nullopt);
  index.Put(victim, 6);
  EXPECT_EQ(index.total_blocks(), 6u);
  EXPECT_EQ(index.Victim(KeepNone), victim);
}

TEST(CacheIndex, PassesOverWhatIsToBeKept) {
  CacheIndex index;
  for (uint64_t i = 0; i < 100; ++i) index.Put(Digest(i), 1);
  const auto keep = [](const ObjectDigest& digest) { return digest != Digest(77); };
  EXPECT_EQ(index.Victim(keep), Digest(77));
  EXPECT_EQ(index.Victim(keep), std::nullopt);
  std::set<ObjectDigest> rest;
  while (const auto victim = index.Victim(KeepNone)) rest.insert(*victim);
  EXPECT_EQ(rest.size(), 99u);
}

TEST(CacheIndex, LooksAtABoundedNumberAndAtOthersTheNextTime) {
  CacheIndex index;
  constexpr uint64_t kCount = 1000;
  for (uint64_t i = 0; i < kCount; ++i) index.Put(Digest(i), 1);
  std::set<ObjectDigest> asked;
  const auto keep_all = [&](const ObjectDigest& digest) {
    asked.insert(digest);
    return true;
  };
  constexpr uint64_t kCalls = kCount / CacheIndex::kLookedAtMax + 1;
  for (uint64_t i = 0; i < kCalls; ++i) EXPECT_EQ(index.Victim(keep_all), std::nullopt);
  EXPECT_EQ(asked.size(), kCount);
}

TEST(CacheIndex, AnObjectThatIsKeptDoesNotHideTheRestFromEviction) {
  CacheIndex index;
  index.Put(Digest(1), 1);
  EXPECT_EQ(index.Victim(KeepNone), Digest(1));  // from now on new ones join the small queue
  index.Remove(Digest(1));
  index.Put(Digest(2), 1'000'000);
  for (uint64_t i = 3; i < 10; ++i) index.Put(Digest(i), 1);
  const auto keep_big = [](const ObjectDigest& digest) { return digest == Digest(2); };
  for (uint64_t i = 3; i < 10; ++i) EXPECT_NE(index.Victim(keep_big), std::nullopt);
  EXPECT_EQ(index.Victim(keep_big), std::nullopt);
}

// A cache of `capacity_blocks` that is read through.
class ReadThrough {
 public:
  explicit ReadThrough(uint64_t capacity_blocks) : capacity_blocks_(capacity_blocks) {}

  bool Read(uint64_t number, uint32_t block_count = 1) {
    const ObjectDigest digest = Digest(number);
    if (index_.Contains(digest)) {
      index_.Touch(digest);
      return true;
    }
    while (index_.total_blocks() + block_count > capacity_blocks_) {
      index_.Remove(index_.Victim(KeepNone).value());
    }
    index_.Put(digest, block_count);
    return false;
  }
  [[nodiscard]] bool Has(uint64_t number) const { return index_.Contains(Digest(number)); }
  CacheIndex& index() { return index_; }

 private:
  const uint64_t capacity_blocks_;
  CacheIndex index_;
};

TEST(CacheIndex, AScanDoesNotFlushWhatIsInUse) {
  ReadThrough cache(1000);
  for (int round = 0; round < 5; ++round) {
    for (uint64_t hot = 0; hot < 900; ++hot) cache.Read(hot);
  }
  for (uint64_t scanned = 0; scanned < 10'000; ++scanned) cache.Read(1'000'000 + scanned);
  int hits = 0;
  for (uint64_t hot = 0; hot < 900; ++hot) hits += cache.Has(hot) ? 1 : 0;
  EXPECT_GE(hits, 890);
}

TEST(CacheIndex, WhatWasAskedForReplacesWhatWasUsedAndStays) {
  ReadThrough cache(1000);
  for (int round = 0; round < 5; ++round) {
    for (uint64_t hot = 0; hot < 1000; ++hot) cache.Read(hot);
  }
  // A few of them are there.
  for (uint64_t asked = 0; asked < 50; ++asked) cache.Read(1'000'000 + asked);
  for (uint64_t asked = 0; asked < 950; ++asked) cache.index().Favour(Digest(1'000'000 + asked));
  uint64_t come_count = 0;
  for (uint64_t asked = 0; asked < 950; ++asked) {
    if (!cache.Read(1'000'000 + asked)) ++come_count;
    cache.index().Favour(Digest(1'000'000 + asked));
  }
  EXPECT_EQ(come_count, 900);
  for (uint64_t asked = 0; asked < 950; ++asked) EXPECT_TRUE(cache.Has(1'000'000 + asked)) << asked;
}

TEST(CacheIndex, AScanOfHugeObjectsTakesNoMoreThanItsShareOfTheBytes) {
  ReadThrough cache(100'000);
  for (int round = 0; round < 5; ++round) {
    for (uint64_t hot = 0; hot < 900; ++hot) cache.Read(hot, 100);
  }
  for (uint64_t scanned = 0; scanned < 1000; ++scanned) cache.Read(1'000'000 + scanned, 5000);
  int hits = 0;
  for (uint64_t hot = 0; hot < 900; ++hot) hits += cache.Has(hot) ? 1 : 0;
  EXPECT_GE(hits, 850);
}

TEST(CacheIndex, ALoopOverMoreThanFitsStillHits) {
  ReadThrough cache(1000);
  int hits = 0;
  for (int epoch = 0; epoch < 10; ++epoch) {
    for (uint64_t i = 0; i < 1200; ++i) hits += cache.Read(i) ? 1 : 0;
  }
  EXPECT_GE(hits, 12'000 * 6 / 10);
}

TEST(CacheIndex, WhatIsPopularNowReplacesWhatWas) {
  ReadThrough cache(1000);
  for (int round = 0; round < 10; ++round) {
    for (uint64_t old = 0; old < 900; ++old) cache.Read(old);
  }
  for (int round = 0; round < 20; ++round) {
    for (uint64_t current = 0; current < 900; ++current) cache.Read(10'000 + current);
  }
  int hits = 0;
  for (uint64_t current = 0; current < 900; ++current) hits += cache.Has(10'000 + current) ? 1 : 0;
  EXPECT_GE(hits, 800);
}

TEST(CacheIndex, WhatWasOnTheMediumAtStartIsEvictedOldestFirstAndSurvivesAScan) {
  CacheIndex index;
  for (uint64_t i = 0; i < 1000; ++i) index.Put(Digest(i), 1);
  // The first read of something new, a hundred times, in a cache that is full.
  for (uint64_t i = 0; i < 100; ++i) {
    index.Put(Digest(5000 + i), 1);
    index.Remove(index.Victim(KeepNone).value());
  }
  int oldest = 0, newest = 0;
  for (uint64_t i = 0; i < 500; ++i) oldest += index.Contains(Digest(i)) ? 1 : 0;
  for (uint64_t i = 500; i < 1000; ++i) newest += index.Contains(Digest(i)) ? 1 : 0;
  EXPECT_LE(oldest, newest);
  EXPECT_GE(oldest + newest, 940);
}

TEST(CacheIndex, WhatWasRemovedOrHasShrunkCountsInNoQueuesShare) {
  CacheIndex index;
  for (uint64_t i = 0; i < 100; ++i) index.Put(Digest(i), 10);
  index.Remove(index.Victim(KeepNone).value());  // from now on new ones join the small queue
  for (uint64_t i = 1000; i < 2000; ++i) {
    index.Put(Digest(i), 10);
    index.Remove(Digest(i));
  }
  index.Put(Digest(5000), 100'000);
  index.Put(Digest(5000), 1);
  for (int i = 0; i < 20; ++i) index.Remove(index.Victim(KeepNone).value());
  EXPECT_TRUE(index.Contains(Digest(5000)));
}

// What CacheIndex promises, without an order.
struct Model {
  struct Object {
    uint32_t block_count = 0;
    bool verified = false;
    bool leaving = false;
  };
  std::map<ObjectDigest, Object> objects;

  [[nodiscard]] uint64_t total_blocks() const {
    uint64_t sum = 0;
    for (const auto& [digest, object] : objects) sum += object.block_count;
    return sum;
  }
  [[nodiscard]] size_t staying() const {
    size_t count = 0;
    for (const auto& [digest, object] : objects) count += object.leaving ? 0 : 1;
    return count;
  }
};

void ExpectSame(const CacheIndex& index, const Model& model, uint64_t digests) {
  ASSERT_EQ(index.object_count(), model.objects.size());
  ASSERT_EQ(index.total_blocks(), model.total_blocks());
  for (uint64_t i = 0; i < digests; ++i) {
    const auto known = model.objects.find(Digest(i));
    const bool is_here = known != model.objects.end();
    ASSERT_EQ(index.Contains(Digest(i)), is_here) << i;
    ASSERT_EQ(index.block_count(Digest(i)), is_here ? known->second.block_count : 0) << i;
    ASSERT_EQ(index.IsVerified(Digest(i)), is_here && known->second.verified) << i;
  }
}

TEST(CacheIndex, DoesWhatASimpleModelDoes) {
  constexpr uint64_t kDigests = 400;
  constexpr int kSteps = 100'000;
  std::mt19937_64 chance(7);
  CacheIndex index;
  Model model;
  for (int step = 0; step < kSteps; ++step) {
    const ObjectDigest digest = Digest(chance() % kDigests);
    const auto known = model.objects.find(digest);
    const bool is_here = known != model.objects.end();
    // Fills up and empties by turns.
    const uint64_t action = chance() % ((step / 5000) % 2 == 0 ? 10 : 14);
    if (action < 4) {
      const auto block_count = static_cast<uint32_t>(chance() % 1000);
      ASSERT_TRUE(index.Put(digest, block_count));
      model.objects[digest].block_count = block_count;
      model.objects[digest].leaving = false;
    } else if (action < 6) {
      index.Touch(digest);
    } else if (action < 7) {
      index.SetVerified(digest);
      if (is_here) known->second.verified = true;
    } else if (action < 8) {
      index.Remove(digest);
      model.objects.erase(digest);
    } else {
      const uint64_t kept = chance() % 4;
      const auto keep = [&](const ObjectDigest& d) { return d.words[0] % 4 < kept; };
      const auto victim = index.Victim(keep);
      if (!victim) {
        ASSERT_TRUE(kept != 0 || model.staying() == 0);
      } else {
        ASSERT_TRUE(model.objects.contains(*victim));
        ASSERT_FALSE(model.objects[*victim].leaving);
        ASSERT_FALSE(keep(*victim));
        model.objects[*victim].leaving = true;
        if (chance() % 2 == 0) {
          index.Remove(*victim);
          model.objects.erase(*victim);
        }
      }
    }
    if (step % 1000 == 0) {
      ASSERT_NO_FATAL_FAILURE(ExpectSame(index, model, kDigests)) << step;
    }
  }
}

TEST(CacheIndex, TakesFewBytesAnObjectHoweverManyThereAre) {
  CacheIndex index;
  uint64_t next = 0;
  double worst = 0;
  for (; next < 200'000; ++next) {
    index.Put(Digest(next), 1);
    const size_t count = index.object_count();
    // A full cache, as far as the memory for those evicted goes.
    if (count == 1000) {
      index.Put(*index.Victim(KeepNone), 1);
    }
    if (count < 1000) continue;
    worst = std::max(worst, static_cast<double>(index.memory_bytes()) / static_cast<double>(count));
  }
  const uint64_t count = index.object_count();
  for (uint64_t i = 0; i < count; ++i) {
    index.Put(Digest(next++), 1);
    index.Remove(index.Victim(KeepNone).value());
  }
  EXPECT_EQ(index.object_count(), count);
  EXPECT_LE(worst, 37.0);
  EXPECT_LE(static_cast<double>(index.memory_bytes()) / static_cast<double>(count), 37.0);
  RecordProperty("worst_tenths", static_cast<int>(worst * 10));
}

}  // namespace
}  // namespace shoal
