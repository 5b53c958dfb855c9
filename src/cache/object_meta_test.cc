#include "cache/object_meta.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

namespace shoal {
namespace {

ObjectMeta Sample() {
  return {.identity = Identity("http://host bucket", {"a/key", "\"etag\"", 12345}),
          .size_bytes = 12345,
          .page_bytes = 16384};
}

TEST(ObjectMeta, IsReadAsItWasWritten) {
  EXPECT_EQ(*DecodeMeta(*EncodeMeta(Sample())), Sample());
}

TEST(ObjectMeta, IdentitiesOfDifferentObjectsDiffer) {
  const std::set<std::string> identities = {
      Identity("bucket", {"a", "b", 1}),   Identity("bucket", {"a", "b", 11}),
      Identity("bucket", {"a", "b1", 1}),  Identity("bucket", {"ab", "", 1}),
      Identity("bucket", {"", "ab", 1}),   Identity("bucketa", {"", "b", 1}),
      Identity("bucket", {"a1:b", "", 1}), Identity("other", {"a", "b", 1}),
  };
  EXPECT_EQ(identities.size(), 8);
}

TEST(ObjectMeta, AnyByteThatChangesIsFound) {
  const MetaHeader good = *EncodeMeta(Sample());
  for (size_t i = 0; i < good.size(); ++i) {
    MetaHeader bad = good;
    bad[i] ^= std::byte{0x10};
    ASSERT_EQ(DecodeMeta(bad).error().code, Errc::kCorrupt) << "byte " << i;
  }
}

TEST(ObjectMeta, AHeaderCutShortIsFound) {
  const MetaHeader good = *EncodeMeta(Sample());
  for (const size_t length : {size_t{0}, size_t{8}, size_t{40}, good.size() - 1})
    EXPECT_EQ(DecodeMeta(std::span(good).first(length)).error().code, Errc::kCorrupt);
}

TEST(ObjectMeta, AnIdentityThatDoesNotFitIsRefused) {
  EXPECT_EQ(EncodeMeta({.identity = std::string(2009, 'x'), .size_bytes = 1, .page_bytes = 4096})
                .error()
                .code,
            Errc::kInvalid);
  const ObjectMeta longest{.identity = std::string(2008, 'x'), .size_bytes = 1, .page_bytes = 4096};
  EXPECT_EQ(*DecodeMeta(*EncodeMeta(longest)), longest);
}

TEST(ObjectMeta, SizesThatNoObjectHasAreNotBelieved) {
  // Whoever can write the file can compute its checksum, and nothing is sized by what he says.
  for (const uint32_t page_bytes : {0U, 1U, 2048U, 4097U, 12288U, 2U << 20, ~0U})
    EXPECT_EQ(DecodeMeta(*EncodeMeta({.identity = "x", .size_bytes = 1, .page_bytes = page_bytes}))
                  .error()
                  .code,
              Errc::kCorrupt)
        << page_bytes;
  EXPECT_EQ(
      DecodeMeta(
          *EncodeMeta({.identity = "x", .size_bytes = kObjectBytesMax + 1, .page_bytes = 4096}))
          .error()
          .code,
      Errc::kCorrupt);
}

TEST(ObjectMeta, AChecksumIsOfThePlaceAndTheObjectAsWell) {
  const std::vector<std::byte> page(16384, std::byte{7});
  const ObjectDigest one = ObjectDigest::Of("one");
  EXPECT_EQ(PageChecksum(one, 3, page), PageChecksum(one, 3, page));
  EXPECT_NE(PageChecksum(one, 3, page), PageChecksum(one, 4, page));
  EXPECT_NE(PageChecksum(one, 3, page), PageChecksum(ObjectDigest::Of("two"), 3, page));
  EXPECT_NE(PageChecksum(one, 3, page), PageChecksum(one, 3, std::span(page).first(16383)));
  EXPECT_NE(PageChecksum(one, 3, page), kNoChecksum);
}

}  // namespace
}  // namespace shoal
