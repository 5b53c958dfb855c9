#include "fs/listing_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fs/listing_merger.h"
#include "testing/memory_object_store.h"

namespace shoal {
namespace {

// What becomes of a listing when `fetch_count` pages are on their way at once and come in the
// order that `chance` says.
struct Outcome {
  std::vector<std::string> names;  // directories with their '/'
  int request_count = 0;
  size_t waiting_page_count_max = 0;
};

Outcome ListAll(MemoryObjectStore& store, const std::string& prefix, size_t fetch_count,
                std::mt19937& chance) {
  Outcome outcome;
  ListingRanges ranges(prefix);
  ListingMerger merger(prefix);
  std::vector<std::pair<uint64_t, ListPage>> under_way;
  bool ended = false;
  for (int page_count = 0; !ended; ++page_count) {
    const size_t count_max = page_count < 4 ? 1 : fetch_count;
    if (under_way.size() < count_max)
      for (const auto& fetch : ranges.Begin(count_max - under_way.size(), page_count >= 4)) {
        ++outcome.request_count;
        under_way.emplace_back(
            fetch.range_id,
            *store.List(
                {.prefix = prefix, .delimiter = "/", .from = fetch.from, .after = fetch.after},
                {}));
      }
    EXPECT_LE(under_way.size(), fetch_count);
    if (under_way.empty()) {
      ADD_FAILURE() << "nothing is under way and the listing has not ended";
      return outcome;
    }
    const size_t which = chance() % under_way.size();
    std::swap(under_way[which], under_way.back());
    if (chance() % 10 == 0) {
      ranges.Failed(under_way.back().first);
    } else {
      EXPECT_TRUE(
          ranges.Came(under_way.back().first, std::move(under_way.back().second), Instant{}));
    }
    under_way.pop_back();
    outcome.waiting_page_count_max =
        std::max(outcome.waiting_page_count_max, ranges.waiting_page_count());
    while (auto arrived = ranges.TakeNext()) {
      EXPECT_FALSE(ended) << "a page after the last";
      ended = !arrived->page.next;
      for (const ListedEntry& entry : merger.Add(std::move(arrived->page)))
        outcome.names.push_back(entry.name + (entry.is_directory ? "/" : ""));
    }
  }
  EXPECT_EQ(ranges.waiting_page_count(), 0u);
  return outcome;
}

std::vector<std::string> ListInOrder(MemoryObjectStore& store, const std::string& prefix) {
  ListingMerger merger(prefix);
  std::vector<std::string> names;
  ListQuery query{.prefix = prefix, .delimiter = "/"};
  do {
    ListPage page = *store.List(query, {});
    query.from = page.next;
    for (const ListedEntry& entry : merger.Add(std::move(page)))
      names.push_back(entry.name + (entry.is_directory ? "/" : ""));
  } while (query.from);
  return names;
}

void ExpectTheSame(MemoryObjectStore& store, const std::string& prefix, uint32_t seed) {
  const std::vector<std::string> expected = ListInOrder(store, prefix);
  std::mt19937 chance(seed);
  for (const size_t fetch_count : {1u, 2u, 5u, 16u})
    EXPECT_EQ(ListAll(store, prefix, fetch_count, chance).names, expected)
        << fetch_count << " at once, seed " << seed;
}

TEST(ListingRanges, AnEmptyAndAShortDirectoryEnd) {
  MemoryObjectStore store;
  ExpectTheSame(store, "d/", 1);
  store.Put("d/only", "x");
  ExpectTheSame(store, "d/", 1);
}

TEST(ListingRanges, SplitListingsHaveEachEntryOnceInOrderWhateverTheNamesAndTheOrderOfAnswers) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 chance(seed);
    MemoryObjectStore store;
    store.set_page_keys_max(static_cast<uint32_t>(1 + chance() % 9));
    const std::string prefix = seed % 3 == 0 ? "" : "d/";
    const std::string alphabet = seed % 2 == 0 ? "ab/" : "01- /~\xc3";
    for (int i = 0; i < 300; ++i) {
      std::string key = prefix;
      for (size_t size = 1 + chance() % 7; size > 0; --size)
        key += alphabet[chance() % alphabet.size()];
      store.Put(key, "x");
    }
    store.Put("after", "x");
    ExpectTheSame(store, prefix, seed);
  }
}

ListPage PageOf(const std::vector<std::string>& keys, std::optional<std::string> next) {
  ListPage page{.objects = {}, .common_prefixes = {}, .next = std::move(next)};
  for (const std::string& key : keys) {
    if (key.ends_with('/'))
      page.common_prefixes.push_back(key);
    else
      page.objects.push_back({.version = {.key = key, .etag = "\"e\"", .size_bytes = 1}});
  }
  return page;
}

TEST(ListingRanges, APageThatIsNotInOrderOrNotAfterTheOneBeforeIsRefusedAndAskedForAgain) {
  const std::vector<std::vector<std::string>> wrong = {
      {"d/a", "d/b"},           // all once more
      {"d/b/", "d/b/"},         // its last key twice more
      {"d/a", "d/c"},           // begins before
      {"d/a/", "d/c"},          // as a directory
      {"d/d", "d/c"},           // not in order
      {"d/c", "d/c"},           // one twice
      {"d/d/", "d/c/", "d/x"},  // directories that are not
      {"d/\xc3\xa9", "d/c"},    // bytes are not signed
  };
  for (const std::vector<std::string>& keys : wrong) {
    ListingRanges ranges("d/");
    const auto first = ranges.Begin(1, false);
    ASSERT_TRUE(ranges.Came(first.at(0).range_id, PageOf({"d/a", "d/b/"}, "1"), Instant{}));
    const auto second = ranges.Begin(1, false);
    const Result<> came = ranges.Came(second.at(0).range_id, PageOf(keys, "2"), Instant{});
    ASSERT_FALSE(came) << keys.front();
    EXPECT_EQ(came.error().code, Errc::kUnreachable);
    const auto again = ranges.Begin(1, false);
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].from, "1");
    // Files and directories are each in order, and take turns.
    ASSERT_TRUE(ranges.Came(again[0].range_id,
                            PageOf({"d/b0", "d/c/", "d/c0", "d/\xc3\xa9"}, std::nullopt),
                            Instant{}));
    std::vector<size_t> counts;
    while (const auto arrived = ranges.TakeNext())
      counts.push_back(arrived->page.objects.size() + arrived->page.common_prefixes.size());
    EXPECT_EQ(counts, (std::vector<size_t>{2, 4}));
  }
}

TEST(ListingRanges, ADirectoryThatTheNextPageBeginsWithAgainIsThereOnce) {
  ListingRanges ranges("d/");
  ListingMerger merger("d/");
  std::vector<std::string> names;
  const std::vector<ListPage> pages = {PageOf({"d/a", "d/b/"}, "1"), PageOf({"d/b/"}, "2"),
                                       PageOf({"d/b/", "d/c"}, "3"), PageOf({"d/d"}, std::nullopt)};
  for (const ListPage& page : pages) {
    const auto fetch = ranges.Begin(1, false);
    ASSERT_TRUE(ranges.Came(fetch.at(0).range_id, page, Instant{}));
    while (auto arrived = ranges.TakeNext())
      for (const ListedEntry& entry : merger.Add(std::move(arrived->page)))
        names.push_back(entry.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(ListingRanges, APageOfARangeThatBeginsBeforeItsCutIsRefused) {
  ListingRanges ranges("d/");
  const auto first = ranges.Begin(1, false);
  ASSERT_TRUE(ranges.Came(first.at(0).range_id, PageOf({"d/100", "d/109"}, "1"), Instant{}));
  const auto fetches = ranges.Begin(2, true);
  ASSERT_EQ(fetches.size(), 2u);
  ASSERT_FALSE(fetches[1].after.empty());
  EXPECT_FALSE(ranges.Came(fetches[1].range_id, PageOf({fetches[1].after}, "2"), Instant{}));
  EXPECT_FALSE(ranges.Came(fetches[0].range_id, PageOf({"d/109"}, "2"), Instant{}));
}

// A round is the time that one page takes.
TEST(ListingRanges, AThousandPagesTakeOneEighthOfTheRoundsThatPagingTakes) {
  MemoryObjectStore store;
  store.set_page_keys_max(100);
  for (int i = 0; i < 100'000; ++i) {
    char name[32];
    snprintf(name, sizeof name, "d/image-2024-%08d", i);
    store.Put(name, "");
  }
  ListingRanges ranges("d/");
  int round_count = 0;
  size_t key_count = 0;
  for (bool ended = false; !ended; ++round_count) {
    const bool may_split = round_count >= 4;
    for (const auto& fetch : ranges.Begin(may_split ? 16 : 1, may_split))
      ASSERT_TRUE(ranges.Came(
          fetch.range_id,
          *store.List({.prefix = "d/", .delimiter = "/", .from = fetch.from, .after = fetch.after},
                      {}),
          Instant{}));
    while (const auto arrived = ranges.TakeNext()) {
      key_count += arrived->page.objects.size();
      ended = !arrived->page.next;
    }
  }
  EXPECT_EQ(key_count, 100'000u);
  EXPECT_LE(round_count, 1000 / 8);
}

TEST(ListingRanges, NumberedAndHashedNamesAreSplitWithFewPagesWasted) {
  std::mt19937 chance(7);
  MemoryObjectStore numbered;
  MemoryObjectStore hashed;
  MemoryObjectStore directories;
  for (int i = 0; i < 20'000; ++i) {
    char name[32];
    snprintf(name, sizeof name, "d/image-2024-%08d", i);
    numbered.Put(name, "");
    snprintf(name, sizeof name, "d/%08x%08x", static_cast<unsigned>(chance()),
             static_cast<unsigned>(chance()));
    hashed.Put(name, "");
    directories.Put(std::string(name) + "/leaf", "");
  }
  for (MemoryObjectStore* store : {&numbered, &hashed, &directories}) {
    store->set_page_keys_max(20);
    const Outcome outcome = ListAll(*store, "d/", 16, chance);
    EXPECT_EQ(outcome.names.size(), 20'000u);
    EXPECT_LE(outcome.request_count, 1300);  // of which a tenth fails on purpose
    EXPECT_LE(outcome.waiting_page_count_max, 256u);
  }
}

}  // namespace
}  // namespace shoal
