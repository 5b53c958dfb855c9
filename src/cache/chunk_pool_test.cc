#include "cache/chunk_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace shoal {
namespace {

TEST(ChunkPool, GivesTheMemoryThatCameBackLastToWhoAsksForAsMuch) {
  ChunkPool pool;
  for (const uint64_t size_bytes : {110 * kKiB, uint64_t{kMiB}, uint64_t{512 * kKiB + 1}}) {
    const std::byte* const first = pool.Take(size_bytes).get();
    EXPECT_EQ(pool.Take(size_bytes).get(), first) << size_bytes;
  }
}

TEST(ChunkPool, EachHasAllOfTheBytesItAskedFor) {
  ChunkPool pool;
  std::vector<std::pair<ChunkPool::Memory, uint64_t>> taken;
  for (int round = 0; round < 2; ++round) {
    for (uint64_t size_bytes = 1; size_bytes <= 2 * kMiB; size_bytes = size_bytes * 3 / 2 + 1)
      taken.emplace_back(pool.Take(size_bytes), size_bytes);
    for (size_t i = 0; i < taken.size(); ++i)
      std::memset(taken[i].first.get(), static_cast<int>(i), taken[i].second);
    for (size_t i = 0; i < taken.size(); ++i) {
      EXPECT_EQ(taken[i].first[0], std::byte(i));
      EXPECT_EQ(taken[i].first[static_cast<std::ptrdiff_t>(taken[i].second - 1)], std::byte(i));
    }
    taken.clear();
  }
}

TEST(ChunkPool, KeepsSoMuchAndNoMore) {
  ChunkPool pool;
  for (const uint64_t size_bytes : {uint64_t{kMiB}, 110 * kKiB, 40 * kKiB}) {
    std::vector<ChunkPool::Memory> taken;
    for (int i = 0; i < 400; ++i) taken.push_back(pool.Take(size_bytes));
    taken.clear();
    EXPECT_LE(pool.kept_bytes(), ChunkPool::kKeptBytesMax);
    EXPECT_GT(pool.kept_bytes(), ChunkPool::kKeptBytesMax - kMiB);
  }
}

}  // namespace
}  // namespace shoal
