#include "fs/listing_merger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "testing/memory_object_store.h"

namespace shoal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

// "name" for a file, "name/" for a directory.
std::vector<std::string> Names(const std::vector<ListedEntry>& entries) {
  std::vector<std::string> names;
  names.reserve(entries.size());
  for (const ListedEntry& entry : entries)
    names.push_back(entry.is_directory ? entry.name + "/" : entry.name);
  return names;
}

// Lists `keys` below `prefix` in pages of `page_keys`.
std::vector<std::string> List(const std::set<std::string>& keys, const std::string& prefix,
                              uint32_t page_keys) {
  MemoryObjectStore store;
  store.set_page_keys_max(page_keys);
  for (const std::string& key : keys) store.Put(key, "x");
  ListingMerger merger(prefix);
  std::vector<std::string> names;
  ListQuery query{.prefix = prefix, .delimiter = "/", .from = {}};
  do {
    ListPage page = *store.List(query, {});
    query.from = page.next;
    for (std::string& name : Names(merger.Add(std::move(page)))) names.push_back(std::move(name));
  } while (query.from);
  return names;
}

TEST(ListingMerger, ADirectoryHidesTheFileOfItsNameEvenPagesLater) {
  std::set<std::string> keys = {"a", "a/b"};
  for (int i = 0; i < 50; ++i) keys.insert("a-" + std::to_string(i));  // sort between the two
  const std::vector<std::string> names = List(keys, "", 7);
  EXPECT_EQ(std::count(names.begin(), names.end(), "a/"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "a"), 0);
  EXPECT_EQ(names.size(), 51u);
}

TEST(ListingMerger, AFileIsShownWhenNoDirectoryHasItsName) {
  EXPECT_THAT(List({"a", "a-1", "b"}, "", 1), UnorderedElementsAreArray({"a", "a-1", "b"}));
}

TEST(ListingMerger, EntriesComeInTheOrderOfListedBefore) {
  const std::vector<std::string> names =
      List({"a", "a!", "a!b", "a!b!", "a!c/x", "a/x", "a0", "b", "b!", "b!/y", "b0"}, "", 3);
  EXPECT_THAT(names, ElementsAre("a!", "a!b!", "a!b", "a!c/", "a/", "a0", "b!/", "b", "b0"));
  const std::vector<std::string> at_the_end = List({"a", "a!", "a!!"}, "", 10);
  EXPECT_THAT(at_the_end, ElementsAre("a!!", "a!", "a"));
  EXPECT_TRUE(ListedBefore("a!", "a"));
  EXPECT_TRUE(ListedBefore("a", "a0"));
  EXPECT_TRUE(ListedBefore("a", "a\xff"));
  EXPECT_FALSE(ListedBefore("a", "a"));
  EXPECT_FALSE(ListedBefore("a", "a!"));
  EXPECT_FALSE(ListedBefore("a0", "a"));
}

TEST(ListingMerger, TheMarkerOfTheDirectoryItselfIsNoEntry) {
  EXPECT_THAT(List({"d/", "d/x"}, "d/", 10), ElementsAre("x"));
  EXPECT_THAT(List({"d/"}, "d/", 10), IsEmpty());
}

TEST(ListingMerger, KeysNoPathCanNameAreCountedAndNotShown) {
  ListingMerger merger("");
  MemoryObjectStore store;
  for (const char* key : {"/etc", "..", ".", "../x", "./x", "fine"}) store.Put(key, "x");
  const ListPage page = *store.List({.prefix = "", .delimiter = "/", .from = {}}, {});
  EXPECT_THAT(Names(merger.Add(page)), ElementsAre("fine"));
  EXPECT_EQ(merger.hidden_count(), 5u);  // "/", ".", "..", "./", "../"
}

TEST(ListingMerger, NamesOfAnyScriptAndLengthAreKept) {
  const std::string long_name(1000, 'n');
  EXPECT_THAT(List({"数据.bin", long_name, " space ", "new\nline"}, "", 2),
              UnorderedElementsAreArray({std::string("数据.bin"), long_name, std::string(" space "),
                                         std::string("new\nline")}));
}

// Against a simpler truth: split every key at the first slash.
TEST(ListingMerger, ShowsWhatASplitOfEveryKeyShowsForAnyPageSize) {
  const std::string alphabet = "!-./0a";
  uint64_t state = 42;
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> keys;
    for (int i = 0; i < 30; ++i) {
      std::string key;
      do {
        state = state * 6364136223846793005u + 1442695040888963407u;
        key += alphabet[(state >> 33) % alphabet.size()];
      } while ((state >> 40) % 4 != 0);
      keys.insert(key);
    }
    std::map<std::string, bool> expected;  // name -> is a directory
    for (const std::string& key : keys) {
      const size_t slash = key.find('/');
      const std::string name = key.substr(0, slash);
      if (IsPathComponent(name)) expected[name] |= slash != std::string::npos;
    }
    std::vector<std::string> expected_names;
    for (const auto& [name, directory] : expected)
      expected_names.push_back(directory ? name + "/" : name);
    for (const uint32_t page_keys : {1u, 2u, 5u, 100u})
      ASSERT_THAT(List(keys, "", page_keys), UnorderedElementsAreArray(expected_names))
          << "round " << round << ", pages of " << page_keys;
  }
}

}  // namespace
}  // namespace shoal
