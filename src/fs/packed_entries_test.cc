#include "fs/packed_entries.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

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

TEST(PackedEntriesTest, EveryEntryComesBackByPlaceAndByNameAsItWasGiven) {
  std::vector<ListedEntry> given;
  for (uint64_t i = 0; i < 3000; ++i) {
    // Names that begin with others, and go on with what comes before and after a '/'.
    const std::string name = std::to_string(i / 4) + std::array{"", "!", "!x", "0"}[i % 4];
    given.push_back(i % 7 == 0 ? Directory(name) : File("models/v1/", name, i));
  }
  std::ranges::sort(given, ListedBefore, &ListedEntry::name);
  const auto same = [](const ListedEntry& a, const ListedEntry& b) { return a.name == b.name; };
  given.erase(std::unique(given.begin(), given.end(), same), given.end());
  const PackedEntries packed(given);
  ASSERT_EQ(packed.size(), given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    ExpectSame(packed.At(i, "models/v1/"), given[i]);
    EXPECT_EQ(packed.NameAt(i), given[i].name);
    EXPECT_EQ(packed.IndexOf(given[i].name), i);
  }
  EXPECT_EQ(packed.IndexOf("9999"), std::nullopt);
  EXPECT_EQ(packed.IndexOf(""), std::nullopt);
  EXPECT_EQ(packed.IndexOf("z"), std::nullopt);
}

TEST(PackedEntriesTest, TheMemoryCountedIsThatOfNamesAndETagsAnd32BytesAnEntry) {
  std::vector<ListedEntry> given;
  size_t text_bytes = 0;
  for (uint64_t i = 100'000; i < 200'000; ++i) {
    given.push_back(File("p/", "file-" + std::to_string(i), i));
    text_bytes += given.back().name.size() + given.back().object.version.etag.size();
  }
  EXPECT_EQ(PackedEntries(given).memory_bytes(), text_bytes + 100'000 * 32);
}

}  // namespace
}  // namespace shoal
