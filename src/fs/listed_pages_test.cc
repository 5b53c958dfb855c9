#include "fs/listed_pages.h"

#include <gtest/gtest.h>

#include <random>

namespace shoal {
namespace {

std::vector<ListedEntry> Files(int begin, int end) {
  std::vector<ListedEntry> files;
  for (int i = begin; i < end; ++i) {
    const std::string name = std::to_string(100'000 + i);
    files.push_back({.name = name,
                     .is_directory = false,
                     .object = {.version = {.key = "d/" + name,
                                            .etag = "e" + std::to_string(i),
                                            .size_bytes = static_cast<uint64_t>(i)}}});
  }
  return files;
}

TEST(ListedPagesTest, EntriesKeepTheirIndicesWhenThoseBeforeThemHaveGone) {
  ListedPages pages("d/");
  std::vector<ListedEntry> all;
  for (int end = 0, page = 1; page <= 20; ++page) {
    const std::vector<ListedEntry> files = Files(end, end + page);
    all.insert(all.end(), files.begin(), files.end());
    pages.Add(files, Instant{std::chrono::seconds(page)});
    end += page;
  }
  const size_t whole_bytes = pages.memory_bytes();
  for (size_t begin = 0; pages.page_count() > 0; pages.DropFirst()) {
    EXPECT_EQ(pages.begin_index(), begin);
    EXPECT_EQ(pages.end_index(), all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      const std::optional<size_t> found = pages.IndexOf(all[i].name);
      EXPECT_EQ(found, i < begin ? std::nullopt : std::optional(i));
      if (found) {
        EXPECT_EQ(pages.At(i).object.version, all[i].object.version);
      }
    }
    begin = pages.first_page_end();
    EXPECT_EQ(pages.CameAt(begin - 1),
              Instant{std::chrono::seconds(21 - static_cast<int>(pages.page_count()))});
    EXPECT_EQ(pages.IndexOf("1"), std::nullopt);
    EXPECT_EQ(pages.IndexOf("2"), std::nullopt);
  }
  EXPECT_LT(pages.memory_bytes(), whole_bytes);
  EXPECT_EQ(pages.begin_index(), all.size());
  EXPECT_EQ(pages.last_came(), std::nullopt);
  pages.Restart(7);
  pages.Add(std::span(all).subspan(7, 2), Instant{});
  EXPECT_EQ(pages.begin_index(), 7u);
  EXPECT_EQ(pages.IndexOf(all[8].name), 8u);
}

}  // namespace
}  // namespace shoal
