#include "fs/packed_entries.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

ListedEntry File(const std::string& prefix, const std::string& name, uint64_t number) {
  return {.name = name,
          .is_directory = false,
          .object = {.version = {.key = prefix + name,
                                 .etag = "\"" + std::to_string(number * 7919) + "\"",
                                 .size_bytes = number << 20},
                     .modified_unix_seconds = static_cast<int64_t>(number) - 5,
                     .storage_class =
                         number % 3 == 0 ? StorageClass::kColdArchive : StorageClass::kReadable}};
}

ListedEntry Directory(const std::string& name) {
  return {.name = name, .is_directory = true, .object = {}};
}

void ExpectSame(const ListedEntry& a, const ListedEntry& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.is_directory, b.is_directory);
  EXPECT_EQ(a.object.version, b.object.version);
  EXPECT_EQ(a.object.modified_unix_seconds, b.object.modified_unix_seconds);
  EXPECT_EQ(a.object.storage_class, b.object.storage_class);
}

TEST(PackedEntriesTest, EveryEntryComesBackByPlaceAndByNameAsItWasAdded) {
  PackedEntries packed("models/v1/");
  std::vector<ListedEntry> added;
  for (uint64_t i = 0; i < 3000; ++i) {
    const std::string name = std::string(i % 40, 'n') + std::to_string(i);
    added.push_back(i % 7 == 0 ? Directory(name) : File("models/v1/", name, i));
    packed.Add(added.back());
  }
  packed.ShrinkToFit();
  ASSERT_EQ(packed.size(), added.size());
  for (size_t i = 0; i < added.size(); ++i) {
    ExpectSame(packed.At(i), added[i]);
    EXPECT_EQ(packed.IndexOf(added[i].name), i);
  }
  EXPECT_EQ(packed.IndexOf("3000"), std::nullopt);
  EXPECT_EQ(packed.IndexOf(""), std::nullopt);
}

TEST(PackedEntriesTest, AnEmptyDirectoryHasNoNameAndTakesNoMemoryToSpeakOf) {
  PackedEntries packed("");
  packed.ShrinkToFit();
  EXPECT_EQ(packed.IndexOf("a"), std::nullopt);
  EXPECT_LT(packed.memory_bytes(), 64u);
}

TEST(PackedEntriesTest, TheMemoryCountedIsThatOfNamesAndETagsAndSome43BytesAnEntry) {
  PackedEntries packed("p/");
  size_t text_bytes = 0;
  for (uint64_t i = 0; i < 100'000; ++i) {
    const ListedEntry entry = File("p/", "file-" + std::to_string(i), i);
    text_bytes += entry.name.size() + entry.object.version.etag.size();
    packed.Add(entry);
  }
  packed.ShrinkToFit();
  EXPECT_GE(packed.memory_bytes(), text_bytes + 100'000 * 36);
  EXPECT_LE(packed.memory_bytes(), text_bytes + 100'000 * 43);
}

}  // namespace
}  // namespace shoal
