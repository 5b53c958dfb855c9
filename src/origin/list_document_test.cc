#include "origin/list_document.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

std::string Object(const std::string& key, const std::string& size = "5") {
  return "<Contents><Key>" + key +
         "</Key><LastModified>2012-02-24T08:43:07.000Z</LastModified>"
         "<ETag>&quot;5B3C1A2E053D763E1B002CC607C5A0FE&quot;</ETag><Type>Normal</Type><Size>" +
         size + "</Size><StorageClass>Standard</StorageClass></Contents>";
}

// Without an IsTruncated of its own, a whole listing.
std::string Document(const std::string& inside) {
  const bool says = inside.find("<IsTruncated>") != std::string::npos;
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
         "<Name>examplebucket</Name><EncodingType>url</EncodingType>" +
         std::string(says ? "" : "<IsTruncated>false</IsTruncated>") + inside +
         "</ListBucketResult>";
}

ObjectInfo Info(std::string key, uint64_t size_bytes = 5) {
  return {.version = {.key = std::move(key),
                      .etag = "\"5B3C1A2E053D763E1B002CC607C5A0FE\"",
                      .size_bytes = size_bytes},
          .modified_unix_seconds = 1330072987};
}

void ExpectSame(const std::vector<ObjectInfo>& got, const std::vector<ObjectInfo>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].version, expected[i].version);
    EXPECT_EQ(got[i].modified_unix_seconds, expected[i].modified_unix_seconds);
    EXPECT_EQ(got[i].storage_class, expected[i].storage_class);
  }
}

TEST(ListDocument, LinksAreToldApart) {
  std::string link = Object("link", "0");
  link.replace(link.find("Normal"), 6, "Symlink");
  const auto page = ParseListDocument(Document(link), {}, TokenText::kAsItIs);
  ASSERT_TRUE(page) << page.error().detail;
  ObjectInfo expected = Info("link", 0);
  expected.storage_class = StorageClass::kLink;
  ExpectSame(page->objects, {expected});
}

Error WrongList(const std::string& text, const ListQuery& query = {}) {
  const auto page = ParseListDocument(text, query, TokenText::kAsItIs);
  return page ? Error{Errc::kInvalid, "was accepted"} : page.error();
}

TEST(ListDocument, ObjectsAndPrefixesAreReadAndDecoded) {
  const auto page = ParseListDocument(
      Document("<Prefix>a%2F</Prefix><MaxKeys>1000</MaxKeys><Delimiter>%2F</Delimiter>"
               "<IsTruncated>false</IsTruncated>" +
               Object("a%2Fb+c%2B%01%E4%BD%A0") + Object("a%2Fd", "5497558138880") +
               "<CommonPrefixes><Prefix>a%2Fe%2F</Prefix></CommonPrefixes>"
               "<CommonPrefixes><Prefix>a%2Ff%2F</Prefix></CommonPrefixes>"),
      {.prefix = "a/", .delimiter = "/"}, TokenText::kAsItIs);
  ASSERT_TRUE(page) << page.error().detail;
  ExpectSame(page->objects, {Info("a/b c+\x01你"), Info("a/d", 5497558138880)});
  EXPECT_EQ(page->common_prefixes, (std::vector<std::string>{"a/e/", "a/f/"}));
  EXPECT_EQ(page->next, std::nullopt);
}

TEST(ListDocument, KeysAreTakenAsTheyAreWhenTheStoreDoesNotEncodeThem) {
  const auto page = ParseListDocument("<ListBucketResult><IsTruncated>false</IsTruncated>" +
                                          Object("a%2F+&amp;") + "</ListBucketResult>",
                                      {}, TokenText::kAsItIs);
  ASSERT_TRUE(page) << page.error().detail;
  ExpectSame(page->objects, {Info("a%2F+&")});
}

TEST(ListDocument, ATruncatedPageSaysWhereToGoOn) {
  const auto next = [](TokenText token_text, const std::string& token) {
    return ParseListDocument(Document("<IsTruncated>true</IsTruncated><NextContinuationToken>" +
                                      token + "</NextContinuationToken>"),
                             {}, token_text)
        .value()
        .next;
  };
  EXPECT_EQ(next(TokenText::kEncodedLikeKeys, "CgJiYw--"), "CgJiYw--");
  EXPECT_EQ(next(TokenText::kEncodedLikeKeys, "1%2Ba%2Fb"), "1+a/b");
  EXPECT_EQ(next(TokenText::kAsItIs, "1+a/b=="), "1+a/b==");
  EXPECT_EQ(next(TokenText::kAsItIs, "k%2D1"), "k%2D1");
  EXPECT_EQ(next(TokenText::kAsItIs, "100%"), "100%");
}

TEST(ListDocument, StorageClassesAreRead) {
  const auto page = ParseListDocument(
      Document("<Contents><Key>a</Key><LastModified>2012-02-24T08:43:07Z</LastModified>"
               "<ETag>x</ETag><Size>0</Size><StorageClass>ColdArchive</StorageClass></Contents>"),
      {}, TokenText::kAsItIs);
  ASSERT_TRUE(page) << page.error().detail;
  EXPECT_EQ(page->objects[0].storage_class, StorageClass::kColdArchive);
}

TEST(ListDocument, AMangledDocumentIsRefusedWithItsReason) {
  const auto refused = [](const char* why) { return Error{Errc::kUnreachable, why}; };
  EXPECT_EQ(WrongList("<html><body>Captive portal</body></html>"),
            refused("the document is not a ListBucketResult"));
  EXPECT_EQ(WrongList(""), refused("the document is not XML: No document element found"));
  const std::string whole = Document(Object("a"));
  for (size_t size = 0; size + 1 < whole.size(); size += 7)
    EXPECT_EQ(WrongList(whole.substr(0, size)).code, Errc::kUnreachable) << size;
  EXPECT_EQ(WrongList(Document(Object(""))), refused("a key is missing or badly encoded"));
  EXPECT_EQ(WrongList(Document(Object("a%2"))), refused("a key is missing or badly encoded"));
  EXPECT_EQ(WrongList(Document(Object("a", "-1"))), refused("an object's Size is not a size"));
  EXPECT_EQ(WrongList(Document(Object("a", std::to_string(kObjectBytesMax + 1)))),
            refused("an object's Size is not a size"));
  EXPECT_EQ(WrongList(Document(Object("a", "9223372036854775808"))),
            refused("an object's Size is not a size"));
  EXPECT_EQ(WrongList(Document(Object("b") + Object("a"))), refused("its keys are out of order"));
  EXPECT_EQ(WrongList(Document(Object("a") + Object("a"))), refused("its keys are out of order"));
  EXPECT_EQ(WrongList(Document(Object("a")), {.prefix = "b"}),
            refused("a key is not under the prefix"));
  EXPECT_EQ(WrongList(Document(Object("a")), {.after = "a"}),
            refused("a key is not after the one asked to begin after"));
  EXPECT_EQ(WrongList(Document("<CommonPrefixes><Prefix>a</Prefix></CommonPrefixes>"),
                      {.delimiter = "/"}),
            refused("a common prefix does not end with the delimiter"));
  EXPECT_EQ(WrongList(Document(Object("a") + Object("b")), {.max_keys = 1}),
            refused("it holds more keys than were asked for"));
  EXPECT_EQ(WrongList("<ListBucketResult></ListBucketResult>"),
            refused("it does not say whether it is truncated"));
  EXPECT_EQ(WrongList(Document("<IsTruncated>true</IsTruncated>")),
            refused("it is truncated, and says not where to go on"));
  EXPECT_EQ(WrongList(Document("<IsTruncated>true</IsTruncated>"
                               "<NextContinuationToken>t</NextContinuationToken>"),
                      {.from = "t"}),
            refused("its NextContinuationToken does not go on"));
}

TEST(ListDocument, ADeeplyNestedDocumentIsRefused) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  for (int i = 0; i < 100'000; ++i) deep += "</a>";
  EXPECT_EQ(WrongList(Document(deep)),
            (Error{Errc::kUnreachable, "the document is nested too deeply"}));
}

TEST(StatDocument, StorageAndObjectCountAreRead) {
  const auto usage = ParseStatDocument(
      "<?xml version=\"1.0\"?><BucketStat><Storage>1600</Storage><ObjectCount>230</ObjectCount>"
      "<MultipartUploadCount>40</MultipartUploadCount></BucketStat>");
  ASSERT_TRUE(usage) << usage.error().detail;
  EXPECT_EQ(usage->stored_bytes, 1600u);
  EXPECT_EQ(usage->object_count, 230u);
  EXPECT_FALSE(ParseStatDocument("<BucketStat><Storage>1</Storage></BucketStat>"));
  EXPECT_FALSE(ParseStatDocument("<Other/>"));
}

}  // namespace
}  // namespace shoal
