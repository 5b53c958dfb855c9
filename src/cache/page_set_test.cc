#include "cache/page_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace shoal {
namespace {

TEST(PageSet, DoesAsAVectorOfFlagsDoes) {
  std::mt19937_64 random(1);
  for (const uint64_t page_count : {1U, 63U, 64U, 65U, 128U, 1000U}) {
    PageSet pages(page_count);
    std::vector<bool> model(page_count);
    for (int i = 0; i < 300; ++i) {
      const uint64_t first = random() % page_count;
      const uint64_t count = 1 + random() % std::min<uint64_t>(page_count - first, 90);
      if (i % 3 == 0) {
        pages.Add(first, count);
        std::fill_n(model.begin() + static_cast<long>(first), count, true);
      }
      const auto begin = model.begin() + static_cast<long>(first);
      const auto end = begin + static_cast<long>(count);
      ASSERT_EQ(pages.Has(first, count), std::find(begin, end, false) == end);
      ASSERT_EQ(pages.Has(first), model[first]);
      ASSERT_EQ(pages.NextWith(first, first + count),
                first + static_cast<uint64_t>(std::find(begin, end, true) - begin));
      ASSERT_EQ(pages.NextWithout(first, first + count),
                first + static_cast<uint64_t>(std::find(begin, end, false) - begin));
      ASSERT_EQ(pages.count(), static_cast<uint64_t>(std::ranges::count(model, true)));
    }
    pages.Add(0, page_count);
    EXPECT_TRUE(pages.full());
    EXPECT_TRUE(pages.Has(0, page_count));
  }
}

TEST(PageSet, OverTerabytesCostsWhatIsUsed) {
  PageSet pages(uint64_t{5} << 26);  // of 16 KiB: 5 TiB
  pages.Add(uint64_t{4} << 26, 3);
  EXPECT_EQ(pages.NextWith(uint64_t{4} << 26, pages.page_count()), uint64_t{4} << 26);
  EXPECT_EQ(pages.count(), 3);
}

}  // namespace
}  // namespace shoal
