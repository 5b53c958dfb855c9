#include "fs/metadata_cache.h"

#include <gtest/gtest.h>

#include "testing/adjustable_clock.h"

namespace shoal {
namespace {

using Kind = NameFact::Kind;

NameFact File(const std::string& key, const std::string& etag) {
  return {.kind = Kind::kFile,
          .object = {.version = {.key = key, .etag = etag, .size_bytes = 7},
                     .modified_unix_seconds = 5,
                     .storage_class = StorageClass::kArchive}};
}

class MetadataCacheTest : public ::testing::Test {
 protected:
  std::optional<Kind> KindOf(const std::string& key) {
    const std::optional<NameFact> fact = cache_.Find(key);
    return fact ? std::optional(fact->kind) : std::nullopt;
  }
  AdjustableClock clock_;
  MetadataCache cache_{clock_, std::chrono::seconds(60), 100'000};
};

TEST_F(MetadataCacheTest, AFactComesBackAsItWasAdded) {
  const NameFact file = File("d/file", "\"e\"");
  EXPECT_TRUE(cache_.Add("d/file", file, 0));
  EXPECT_TRUE(cache_.Add("d", {.kind = Kind::kDirectory}, 0));
  const std::optional<NameFact> found = cache_.Find("d/file");
  EXPECT_EQ(found->kind, Kind::kFile);
  EXPECT_EQ(found->object.version, file.object.version);
  EXPECT_EQ(found->object.modified_unix_seconds, 5);
  EXPECT_EQ(found->object.storage_class, StorageClass::kArchive);
  EXPECT_TRUE(cache_.HasFile(file.object));
  EXPECT_FALSE(cache_.HasFile(File("d/file", "\"f\"").object));
  ObjectInfo of_another_class = file.object;
  of_another_class.storage_class = StorageClass::kReadable;
  EXPECT_FALSE(cache_.HasFile(of_another_class));
  EXPECT_TRUE(cache_.HasDirectory("d"));
  EXPECT_FALSE(cache_.HasDirectory("d/file"));
  EXPECT_EQ(KindOf("d/other"), std::nullopt);
}

TEST_F(MetadataCacheTest, HowLongAMissingNameIsBelievedChangesForNamesThatAreKnownToo) {
  cache_.Add("missing", {}, 0);
  cache_.Add("file", File("file", "1"), 0);
  clock_.Advance(std::chrono::seconds(59));
  EXPECT_EQ(KindOf("missing"), Kind::kMissing);
  cache_.SetMissingValidFor(std::chrono::seconds(600));
  clock_.Advance(std::chrono::seconds(400));
  EXPECT_EQ(KindOf("missing"), Kind::kMissing);
  cache_.SetMissingValidFor(std::chrono::seconds(5));
  EXPECT_EQ(KindOf("missing"), std::nullopt);
  EXPECT_EQ(KindOf("file"), Kind::kFile);
}

TEST_F(MetadataCacheTest, TheLastFactOfANameCounts) {
  cache_.Add("a", File("a", "1"), 0);
  cache_.Add("a", {}, 0);
  EXPECT_EQ(KindOf("a"), Kind::kMissing);
  cache_.Add("a", File("a", "2"), 0);
  EXPECT_EQ(cache_.Find("a")->object.version.etag, "2");
}

TEST_F(MetadataCacheTest, ThatANameIsMissingIsBelievedForATimeAndThatItIsThereForEver) {
  cache_.Add("gone", {}, 0);
  cache_.Add("there", File("there", "1"), 0);
  clock_.Advance(std::chrono::seconds(59));
  EXPECT_EQ(KindOf("gone"), Kind::kMissing);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(KindOf("gone"), std::nullopt);
  clock_.Advance(std::chrono::hours(10'000));
  EXPECT_EQ(KindOf("there"), Kind::kFile);
}

TEST_F(MetadataCacheTest, WhatWasAskedBeforeAClearIsNotKept) {
  const uint64_t before = cache_.clear_count();
  cache_.Add("a", File("a", "1"), before);
  cache_.Clear();
  EXPECT_EQ(KindOf("a"), std::nullopt);
  EXPECT_EQ(cache_.size_bytes(), 0u);
  EXPECT_FALSE(cache_.Add("a", File("a", "1"), before));
  const ListedEntry listed{.name = "a", .is_directory = true, .object = {}};
  cache_.AddListed("", std::span(&listed, 1), before);
  EXPECT_EQ(KindOf("a"), std::nullopt);
  EXPECT_TRUE(cache_.Add("a", File("a", "1"), cache_.clear_count()));
}

TEST_F(MetadataCacheTest, AReplacedVersionIsDroppedAndAnyOtherIsNot) {
  cache_.Add("a", File("a", "2"), 0);
  cache_.Drop(File("a", "1").object.version);
  EXPECT_EQ(KindOf("a"), Kind::kFile);
  cache_.Drop(File("a", "2").object.version);
  EXPECT_EQ(KindOf("a"), std::nullopt);
}

TEST_F(MetadataCacheTest, FullItStaysInItsBoundsAndKeepsWhatIsUsed) {
  cache_.Add("used", File("used", "1"), 0);
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "a/rather/long/path/to/the/file/of/number/" + std::to_string(i);
    cache_.Add(key, File(key, std::string(34, 'e')), 0);
    EXPECT_EQ(KindOf("used"), Kind::kFile);
    ASSERT_LE(cache_.size_bytes(), 100'000u);
  }
  EXPECT_GE(cache_.size_bytes(), 50'000u - 300);
  EXPECT_EQ(KindOf("a/rather/long/path/to/the/file/of/number/0"), std::nullopt);
  EXPECT_EQ(KindOf("a/rather/long/path/to/the/file/of/number/9999"), Kind::kFile);
}

}  // namespace
}  // namespace shoal
