#include "origin/text_values.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(TextValues, ANumberIsDigitsAndNothingElse) {
  EXPECT_EQ(ParseNumber("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", " 1", "1 ", "-1", "+1", "0x1", "18446744073709551616"})
    EXPECT_EQ(ParseNumber(text), std::nullopt) << text;
}

TEST(TextValues, TimesAreReadInBothForms) {
  EXPECT_EQ(ParseIsoTime("2012-02-24T08:43:07Z"), 1330072987);
  EXPECT_EQ(ParseIsoTime("2012-02-24T08:43:07.000Z"), 1330072987);
  EXPECT_EQ(ParseHttpDate("Fri, 24 Feb 2012 08:43:07 GMT"), 1330072987);
  for (const char* text : {"", "2012-02-24T08:43:07", "2012-02-24T08:43:07.0+01:00", "yesterday"})
    EXPECT_EQ(ParseIsoTime(text), std::nullopt) << text;
  for (const char* text : {"", "Fri, 24 Feb 2012 08:43:07", "Fri, 24 Feb 2012 08:43:07 GMT+1"})
    EXPECT_EQ(ParseHttpDate(text), std::nullopt) << text;
}

TEST(TextValues, AContentRangeIsReadWithAndWithoutTheObjectsSize) {
  EXPECT_EQ(ParseContentRange("bytes 0-9/443"), (ContentRange{0, 9, 443}));
  EXPECT_EQ(ParseContentRange("bytes 5-5/*"), (ContentRange{5, 5, std::nullopt}));
  for (const char* text : {"", "bytes", "bytes 0-9", "bytes */443", "bytes 9-0/443", "0-9/443",
                           "bytes 0-9/", "bytes /0-9", "bytes=0-9/443", "bytes 0-9/44x", "b-/"})
    EXPECT_EQ(ParseContentRange(text), std::nullopt) << text;
}

TEST(TextValues, PercentEncodingIsUndone) {
  EXPECT_EQ(PercentDecode("a%2Fb%2f+%00", false), std::string("a/b/+\0", 6));
  EXPECT_EQ(PercentDecode("a+b%2B", true), "a b+");
  for (const char* text : {"%", "%1", "%zz", "a%2"})
    EXPECT_EQ(PercentDecode(text, true), std::nullopt) << text;
}

TEST(TextValues, ArchivedClassesAreReadableOnlyWhenRestored) {
  EXPECT_EQ(ParseStorageClass("Standard", ""), StorageClass::kReadable);
  EXPECT_EQ(ParseStorageClass("IA", ""), StorageClass::kReadable);
  EXPECT_EQ(ParseStorageClass("GLACIER_IR", ""), StorageClass::kReadable);
  EXPECT_EQ(ParseStorageClass("", ""), StorageClass::kReadable);
  EXPECT_EQ(ParseStorageClass("Archive", ""), StorageClass::kArchive);
  EXPECT_EQ(ParseStorageClass("GLACIER", ""), StorageClass::kArchive);
  EXPECT_EQ(ParseStorageClass("ColdArchive", ""), StorageClass::kColdArchive);
  EXPECT_EQ(ParseStorageClass("DeepColdArchive", ""), StorageClass::kDeepColdArchive);
  EXPECT_EQ(ParseStorageClass("DEEP_ARCHIVE", "ongoing-request=\"true\""),
            StorageClass::kDeepColdArchive);
  EXPECT_EQ(ParseStorageClass("Archive", "ongoing-request=\"false\", expiry-date=\"x\""),
            StorageClass::kReadable);
}

TEST(TextValues, BytesAreWrittenAsHex) {
  EXPECT_EQ(Hex(std::string_view("\0\x7f\xff", 3)), "007fff");
}

}  // namespace
}  // namespace shoal
