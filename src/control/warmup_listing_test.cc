#include "control/warmup_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "fs/listing_merger.h"
#include "testing/memory_object_store.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

WarmupFilter Filter(const std::string& pattern) {
  return *WarmupFilter::Compile(pattern);
}

// Copies the listing before each page, as one that goes on much later.
Result<std::vector<std::string>> Keys(MemoryObjectStore& store, const std::string& mount_prefix,
                                      const std::string& path, const std::string& pattern = "") {
  std::vector<std::string> keys;
  WarmupListing listing(store, mount_prefix, path, Filter(pattern));
  while (true) {
    WarmupListing copy = listing;
    ASSIGN_OR_RETURN(const auto page, copy.Next({}));
    if (!page) return keys;
    for (const ObjectInfo& object : *page) keys.push_back(object.version.key);
    listing = std::move(copy);
  }
}

// The files that readdir shows, from the root down.
void Walk(MemoryObjectStore& store, const std::string& prefix, std::set<std::string>& files) {
  ListingMerger merger(prefix);
  ListQuery query{.prefix = prefix, .delimiter = "/"};
  do {
    ListPage page = *store.List(query, {});
    query.from = page.next;
    for (const ListedEntry& entry : merger.Add(std::move(page))) {
      if (entry.is_directory) {
        Walk(store, prefix + entry.name + "/", files);
      } else {
        files.insert(prefix + entry.name);
      }
    }
  } while (query.from);
}

TEST(WarmupListing, AFileIsItselfAndADirectoryAllThatIsBelowIt) {
  MemoryObjectStore store;
  for (const char* const key : {"a", "d/1", "d/2", "d/e/3", "d2/x", "d-x"}) store.Put(key, "bytes");
  EXPECT_THAT(*Keys(store, "", "a"), ElementsAre("a"));
  EXPECT_THAT(*Keys(store, "", "d"), ElementsAre("d/1", "d/2", "d/e/3"));
  EXPECT_THAT(*Keys(store, "", "d/e"), ElementsAre("d/e/3"));
  EXPECT_THAT(*Keys(store, "", ""),
              UnorderedElementsAre("a", "d-x", "d/1", "d/2", "d/e/3", "d2/x"));
  EXPECT_THAT(*Keys(store, "d/", "e"), ElementsAre("d/e/3"));
  EXPECT_THAT(*Keys(store, "d/", ""), ElementsAre("d/1", "d/2", "d/e/3"));
  EXPECT_EQ(Keys(store, "d/", "a").error().code, Errc::kNotFound);
  EXPECT_EQ(Keys(store, "", "d/e/3/4").error().code, Errc::kNotFound);
}

TEST(WarmupListing, GoesOnBehindPagesThatHaveNoKeys) {
  MemoryObjectStore store;
  store.set_page_keys_max(2);
  store.set_begins_with_empty_page(true);
  for (const char* const key : {"a", "d/1", "d/2", "d/e/3", "e"}) store.Put(key, "bytes");
  EXPECT_THAT(*Keys(store, "", "d"), ElementsAre("d/1", "d/2", "d/e/3"));
  EXPECT_THAT(*Keys(store, "", "a"), ElementsAre("a"));
}

TEST(WarmupListing, AnEmptyRootIsNoError) {
  MemoryObjectStore store;
  EXPECT_THAT(*Keys(store, "", ""), IsEmpty());
}

TEST(WarmupListing, ThePatternPicksFiles) {
  MemoryObjectStore store;
  for (const char* const key : {"d/x_1", "d/x_2", "d/e_2/y", "d/e_2/y_2"}) store.Put(key, "");
  EXPECT_THAT(*Keys(store, "", "d", ".*_2$"), UnorderedElementsAre("d/x_2", "d/e_2/y_2"));
  EXPECT_THAT(*Keys(store, "", "d", "^e_2/"), UnorderedElementsAre("d/e_2/y", "d/e_2/y_2"));
  EXPECT_THAT(*Keys(store, "", "d/x_1", "_2"), IsEmpty());
  EXPECT_THAT(*Keys(store, "", "d/x_1", "_1"), ElementsAre("d/x_1"));
}

TEST(WarmupListing, AnErrorIsTheStoresAndTheSameIsAskedForAgain) {
  MemoryObjectStore store;
  store.set_page_keys_max(1);
  for (const char* const key : {"d/1", "d/2"}) store.Put(key, "");
  WarmupListing listing(store, "", "d", Filter(""));
  ASSERT_TRUE(listing.Next({}));
  store.FailWith(Error{Errc::kUnreachable, "no answer"});
  EXPECT_EQ(listing.Next({}).error(), (Error{Errc::kUnreachable, "no answer"}));
  store.FailWith({});
  std::vector<std::string> keys;
  for (auto page = listing.Next({}); *page; page = listing.Next({}))
    for (const ObjectInfo& object : **page) keys.push_back(object.version.key);
  EXPECT_THAT(keys, ElementsAre("d/1", "d/2"));
}

TEST(WarmupListing, ShowsWhatAWalkThroughTheMountShows) {
  std::mt19937_64 random(11);
  const std::vector<std::string> parts = {"a",  "b", "a.b", "a-", "",  ".",
                                          "..", "/", "/",   "/",  "b0"};
  for (int round = 0; round < 300; ++round) {
    MemoryObjectStore store;
    store.set_page_keys_max(static_cast<uint32_t>(1 + random() % 5));
    for (int i = 0; i < 25; ++i) {
      std::string key;
      for (uint64_t j = random() % 6 + 1; j > 0; --j) key += parts[random() % parts.size()];
      if (!key.empty()) store.Put(key, "x");
    }
    std::set<std::string> files;
    Walk(store, "", files);
    const auto keys = *Keys(store, "", "");
    ASSERT_EQ(std::set<std::string>(keys.begin(), keys.end()), files) << "round " << round;
    ASSERT_EQ(keys.size(), files.size()) << "each once";
  }
}

}  // namespace
}  // namespace shoal
