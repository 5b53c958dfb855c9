// Who may do what at the embedded origin: signatures, times, tokens, rights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "testing/origin_server_fixture.h"

namespace shoal {
namespace {

using embedded::HttpAnswer;
using embedded::OriginHttpClient;
using testing::HasSubstr;

class OriginAuthenticationTest : public OriginServerFixture {};

TEST_F(OriginAuthenticationTest, EverySchemeIsVerified) {
  Start();
  ASSERT_EQ(Ask("PUT", "k", {}, {}, "x").status, 200);
  for (const auto scheme :
       {SignatureScheme::kOssV1, SignatureScheme::kOssV4, SignatureScheme::kAwsV4}) {
    EXPECT_EQ(AskAs(keys_, scheme, "GET", "k").body, "x");
    EXPECT_EQ(Code(AskAs({"shoal-dev", "wrong", "", 0}, scheme, "GET", "k")),
              "SignatureDoesNotMatch");
    EXPECT_EQ(Code(AskAs({"nobody", "wrong", "", 0}, scheme, "GET", "k")), "InvalidAccessKeyId");
  }
  const HttpAnswer unsigned_answer = client_->AskRaw("GET", "/bucket/k");
  EXPECT_EQ(unsigned_answer.status, 403);
  EXPECT_EQ(Code(unsigned_answer), "AccessDenied");
  EXPECT_EQ(unsigned_answer.headers.at("x-oss-request-id").size(), 24U);
}

TEST_F(OriginAuthenticationTest, AnAwsSignatureCoversTheHostAndEveryHeaderOfTheService) {
  Start();
  const auto ask = [&](const OriginHttpClient::Headers& covered,
                       const OriginHttpClient::Headers& others) {
    SignableRequest request{.method = "PUT",
                            .bucket = "bucket",
                            .key = "k",
                            .encoded_path = "/bucket/k",
                            .headers = covered};
    Sign(SignatureScheme::kAwsV4, request, keys_, "us-east-1", clock_.UnixSeconds());
    request.headers.insert(others.begin(), others.end());
    return client_->AskRaw("PUT", "/bucket/k", request.headers, "x");
  };
  const std::string host = server_->url().substr(std::string_view("http://").size());
  EXPECT_EQ(ask({{"host", host}, {"x-amz-meta-a", "b"}}, {{"content-type", "text/plain"}}).status,
            200);
  const HttpAnswer refused =
      ask({{"host", host}}, {{"x-amz-acl", "private"}, {"x-amz-meta-a", "b"}});
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(Code(refused), "AccessDenied");
  EXPECT_THAT(refused.body, HasSubstr(">x-amz-acl, x-amz-meta-a</HeadersNotSigned>"));
  EXPECT_THAT(ask({}, {{"host", host}}).body, HasSubstr(">host</HeadersNotSigned>"));
}

TEST_F(OriginAuthenticationTest, ASignatureOfAnotherTimeIsRefused) {
  Start();
  FakeClock late;
  late.Advance(std::chrono::minutes(16));
  OriginHttpClient client(server_->url(), keys_, late);
  EXPECT_EQ(Code(client.Ask("GET", "bucket", "k")), "RequestTimeTooSkewed");
  clock_.Advance(std::chrono::minutes(2));
  EXPECT_EQ(Code(client.Ask("GET", "bucket", "k")), "NoSuchKey");
}

TEST_F(OriginAuthenticationTest, TokensExpireAndRightsAreMissingAsTheCredentialsFileSays) {
  options_.credentials_file = folder_ / "credentials";
  const auto write = [&](const std::string& text) {
    std::ofstream(options_.credentials_file) << text;
  };
  // FakeClock starts on 2023-11-14 at 22:13:20.
  write(R"([{"id": "t", "secret": "s", "token": "tok", "expiration": "2023-11-14T22:14:20Z"},
            {"id": "r", "secret": "s", "deny": ["GetObject"]}])");
  Start();
  const AccessKeys temporary{"t", "s", "tok", 0};
  EXPECT_EQ(Code(AskAs(temporary, SignatureScheme::kOssV4, "GET", "k")), "NoSuchKey");
  EXPECT_EQ(Code(AskAs({"t", "s", "other", 0}, SignatureScheme::kOssV4, "GET", "k")),
            "InvalidSecurityToken");
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_EQ(Code(AskAs(temporary, SignatureScheme::kOssV4, "GET", "k")), "SecurityTokenExpired");
  EXPECT_EQ(Code(AskAs(temporary, SignatureScheme::kAwsV4, "GET", "k")), "ExpiredToken");
  const HttpAnswer denied = AskAs({"r", "s", "", 0}, SignatureScheme::kOssV4, "GET", "k");
  EXPECT_EQ(Code(denied), "AccessDenied");
  EXPECT_THAT(denied.body, testing::HasSubstr("oss:GetObject"));
  EXPECT_EQ(AskAs({"r", "s", "", 0}, SignatureScheme::kOssV4, "GET", "").status, 200);
  write("other:pair\n");
  EXPECT_EQ(Code(AskAs({"r", "s", "", 0}, SignatureScheme::kOssV4, "GET", "")),
            "InvalidAccessKeyId");
  EXPECT_EQ(AskAs({"other", "pair", "", 0}, SignatureScheme::kOssV4, "GET", "").status, 200);
}

TEST_F(OriginAuthenticationTest, RightsAreDeniedInEitherSpellingAndOthersAreRefused) {
  options_.credentials_file = folder_ / "credentials";
  const auto write = [&](const std::string& right) {
    std::ofstream(options_.credentials_file)
        << R"([{"id": "r", "secret": "s", "deny": [)" << right << "]}]";
  };
  write(R"("oss:GetObject")");
  Start();
  EXPECT_EQ(Code(AskAs({"r", "s", "", 0}, SignatureScheme::kOssV4, "GET", "k")), "AccessDenied");
  for (const std::string wrong : {R"("GetObjects")", R"("oss:")", R"("s3:GetObject")", "7"}) {
    write(wrong);
    const auto started = OriginServer::Start(options_, clock_);
    ASSERT_FALSE(started) << wrong;
    EXPECT_THAT(started.error().detail, testing::HasSubstr("deny")) << wrong;
  }
  write(R"("oss:Getobject")");
  EXPECT_THAT(OriginServer::Start(options_, clock_).error().detail,
              testing::EndsWith("deny: there is no right 'oss:Getobject'; there are "
                                "AbortMultipartUpload, DeleteObject, GetBucketInfo, "
                                "GetBucketLocation, GetBucketStat, GetObject, ListBuckets, "
                                "ListMultipartUploads, ListObjects, ListParts, PutBucket, "
                                "PutObject"));
}

}  // namespace
}  // namespace shoal
