// The expected signatures are published: for OSS in the test suite of the official Go
// SDK (alibabacloud-oss-go-sdk-v2, oss/signer), for AWS in the Amazon S3 API
// reference, "Examples: Signature Calculations". One that is not says so.
#include "origin/signer.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

// What Sign adds to the headers of `request`.
HttpHeaders Added(SignatureScheme scheme, const SignableRequest& request, const AccessKeys& keys,
                  std::string_view region, int64_t now_unix_seconds, SigningKey* key = nullptr) {
  SignableRequest signed_request = request;
  Sign(scheme, signed_request, keys, region, now_unix_seconds, key);
  for (const auto& [name, value] : request.headers) {
    EXPECT_EQ(signed_request.headers.at(name), value);
    signed_request.headers.erase(name);
  }
  return signed_request.headers;
}

SignableRequest OssV4Example() {
  return {.method = "PUT",
          .bucket = "bucket",
          .key = "1234+-/123/1.txt",
          .encoded_path = "/1234%2B-/123/1.txt",
          .query = {{"param1", "value1"},
                    {"+param1", "value3"},
                    {"|param1", "value4"},
                    {"+param2", ""},
                    {"|param2", ""},
                    {"param2", ""}},
          .headers = {{"x-oss-head1", "value"},
                      {"abc", "value"},
                      {"zabc", "value"},
                      {"xyz", "value"},
                      {"content-type", "text/plain"}}};
}

SignableRequest AwsExample(std::string encoded_path) {
  return {.method = "GET",
          .bucket = "examplebucket",
          .key = "",
          .encoded_path = std::move(encoded_path),
          .query = {},
          .headers = {{"host", "examplebucket.s3.amazonaws.com"},
                      {"x-amz-content-sha256",
                       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                      {"x-amz-date", "20130524T000000Z"}}};
}

std::string SignAwsExample(const SignableRequest& request) {
  SigningScope scope{.timestamp = "20130524T000000Z",
                     .region = "us-east-1",
                     .service = "s3",
                     .signed_headers = {}};
  for (const auto& header : request.headers) scope.signed_headers.push_back(header.first);
  return Signature(SignatureScheme::kAwsV4, request, scope,
                   "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
}

TEST(Signer, OssV4AgreesWithThePublishedExample) {
  EXPECT_EQ(Added(SignatureScheme::kOssV4, OssV4Example(), {.id = "ak", .secret = "sk"},
                  "cn-hangzhou", 1702743657),
            (HttpHeaders{
                {"x-oss-date", "20231216T162057Z"},
                {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"},
                {"authorization",
                 "OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,"
                 "Signature=e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"}}));
}

TEST(Signer, OssV4SignsTheSecurityTokenAsThePublishedExample) {
  EXPECT_EQ(
      Added(SignatureScheme::kOssV4, OssV4Example(),
            {.id = "ak", .secret = "sk", .security_token = "token"}, "cn-hangzhou", 1702784856),
      (HttpHeaders{
          {"x-oss-date", "20231217T034736Z"},
          {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"},
          {"x-oss-security-token", "token"},
          {"authorization",
           "OSS4-HMAC-SHA256 Credential=ak/20231217/cn-hangzhou/oss/aliyun_v4_request,"
           "Signature=b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea"}}));
}

TEST(Signer, OssV4SignsAdditionalHeadersAsThePublishedExample) {
  SignableRequest request = OssV4Example();
  request.headers["x-oss-date"] = "20231216T172512Z";
  request.headers["x-oss-content-sha256"] = "UNSIGNED-PAYLOAD";
  EXPECT_EQ(Signature(SignatureScheme::kOssV4, request,
                      {.timestamp = "20231216T172512Z",
                       .region = "cn-hangzhou",
                       .service = "oss",
                       .signed_headers = {"abc", "zabc"}},
                      "sk"),
            "4a4183c187c07c8947db7620deb0a6b38d9fbdd34187b6dbaccb316fa251212f");
}

TEST(Signer, OssV1AgreesWithThePublishedExamples) {
  const std::string date = "Wed, 28 Dec 2022 10:27:41 GMT";
  SignableRequest request{.method = "PUT",
                          .bucket = "examplebucket",
                          .key = "nelson",
                          .encoded_path = "/nelson",
                          .query = {},
                          .headers = {{"content-md5", "eB5eJF1ptWaXm4bijSPyxw=="},
                                      {"content-type", "text/html"},
                                      {"x-oss-meta-author", "alice"},
                                      {"x-oss-meta-magic", "abracadabra"},
                                      {"x-oss-date", date}}};
  EXPECT_EQ(Signature(SignatureScheme::kOssV1, request, {.timestamp = date}, "sk"),
            "kSHKmLxlyEAKtZPkJhG9bZb5k7M=");
  request.query = {{"acl", ""}};
  EXPECT_EQ(Signature(SignatureScheme::kOssV1, request, {.timestamp = date}, "sk"),
            "/afkugFbmWDQ967j1vr6zygBLQk=");
  SignableRequest of_bucket{.method = "GET",
                            .bucket = "examplebucket",
                            .key = "",
                            .encoded_path = "/",
                            .query = {{"resourceGroup", ""}, {"non-resousce", "null"}},
                            .headers = {{"x-oss-date", date}}};
  EXPECT_EQ(Signature(SignatureScheme::kOssV1, of_bucket, {.timestamp = date}, "sk"),
            "vkQmfuUDyi1uDi3bKt67oemssIs=");
}

// Not published: computed with Python's hmac from the string in the documentation's form.
TEST(Signer, OssV1SignsTokenAndSubResourcesInOrderOfName) {
  const SignableRequest request{
      .method = "GET",
      .bucket = "examplebucket",
      .key = "",
      .encoded_path = "/",
      .query = {{"list-type", "2"}, {"prefix", "a/"}, {"continuation-token", "CgJi+/=="}},
      .headers = {}};
  EXPECT_EQ(Added(SignatureScheme::kOssV1, request,
                  {.id = "ak", .secret = "sk", .security_token = "token"}, "", 1672223261),
            (HttpHeaders{{"date", "Wed, 28 Dec 2022 10:27:41 GMT"},
                         {"x-oss-security-token", "token"},
                         {"authorization", "OSS ak:S4jBtuwfnSa7yA+v5WMjsTYhCt4="}}));
}

TEST(Signer, AwsV4AgreesWithThePublishedRangeExample) {
  SignableRequest request = AwsExample("/test.txt");
  request.headers["range"] = "bytes=0-9";
  EXPECT_EQ(SignAwsExample(request),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(Signer, AwsV4AgreesWithThePublishedSubResourceExample) {
  SignableRequest request = AwsExample("/");
  request.query = {{"lifecycle", ""}};
  EXPECT_EQ(SignAwsExample(request),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(Signer, AwsV4AgreesWithThePublishedListExample) {
  SignableRequest request = AwsExample("/");
  request.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(SignAwsExample(request),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(Signer, AwsV4AgreesWithThePublishedUploadExample) {
  SignableRequest request = AwsExample("/test%24file.text");
  request.method = "PUT";
  request.headers["date"] = "Fri, 24 May 2013 00:00:00 GMT";
  request.headers["x-amz-storage-class"] = "REDUCED_REDUNDANCY";
  request.headers["x-amz-content-sha256"] =
      "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
  EXPECT_EQ(SignAwsExample(request),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

// Not published: computed with Python's hmac.
TEST(Signer, AwsV4SignsEveryHeaderItIsGiven) {
  const SignableRequest request{
      .method = "GET",
      .bucket = "b",
      .key = "a b",
      .encoded_path = "/b/a%20b",
      .query = {},
      .headers = {{"host", "127.0.0.1:9000"}, {"range", "bytes=0-0"}, {"if-match", "\"x  y\""}}};
  EXPECT_EQ(Added(SignatureScheme::kAwsV4, request,
                  {.id = "ak", .secret = "sk", .security_token = "token"}, "us-east-1", 1369353600),
            (HttpHeaders{
                {"x-amz-date", "20130524T000000Z"},
                {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"},
                {"x-amz-security-token", "token"},
                {"authorization",
                 "AWS4-HMAC-SHA256 Credential=ak/20130524/us-east-1/s3/aws4_request,"
                 "SignedHeaders=host;if-match;range;x-amz-content-sha256;x-amz-date;"
                 "x-amz-security-token,"
                 "Signature=22d502d85d7ae0c1245fe19f4f81521dac96834e9a8bc42b8ab6eca5789f141b"}}));
}

TEST(Signer, PercentEncodingKeepsOnlyUnreservedBytes) {
  std::string every_byte;
  std::string expected;
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    every_byte += c;
    const std::string_view unreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    if (unreserved.find(c) != std::string_view::npos) {
      expected += c;
    } else {
      expected += {'%', kDigits[static_cast<size_t>(i) / 16], kDigits[static_cast<size_t>(i) % 16]};
    }
  }
  EXPECT_EQ(PercentEncode(every_byte, false), expected);
  EXPECT_EQ(PercentEncode("/a b/", true), "/a%20b/");
}

// A key that was kept too long would be refused by every store, at midnight or when the
// credentials are replaced.
TEST(Signer, AKeptKeyIsMadeAnewForAnotherDaySecretOrRegion) {
  SigningKey key;
  constexpr int64_t kEvening = 1702743657;
  constexpr int64_t kDaySeconds = 24 * 60 * 60;
  const auto sign = [](std::string secret, std::string_view region, int64_t now, SigningKey* kept) {
    return Added(SignatureScheme::kOssV4, OssV4Example(), {.id = "ak", .secret = std::move(secret)},
                 region, now, kept);
  };
  for (const int64_t now : {kEvening, kEvening + 1, kEvening + kDaySeconds})
    for (const char* const secret : {"sk", "another"})
      for (const char* const region : {"cn-hangzhou", "cn-beijing"})
        EXPECT_EQ(sign(secret, region, now, &key), sign(secret, region, now, nullptr));
}

}  // namespace
}  // namespace shoal
