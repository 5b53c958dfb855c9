#include "origin/error_document.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr Operation kGet{"GetObject", "oss:GetObject", "a\nb"};

TEST(ErrorDocument, TheFieldsOfAStoresAnswerAreRead) {
  EXPECT_EQ(ParseErrorDocument("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<Error>\n  <Code>NoSuchKey</Code>\n"
                               "  <Message>The specified key does not exist.</Message>\n"
                               "  <RequestId>5C3D9175B6FC201293AD****</RequestId>\n"
                               "  <HostId>test.oss-cn-hangzhou.aliyuncs.com</HostId>\n"
                               "  <EC>0026-00000001</EC>\n</Error>\n"),
            (ErrorDocument{.code = "NoSuchKey",
                           .message = "The specified key does not exist.",
                           .request_id = "5C3D9175B6FC201293AD****"}));
}

TEST(ErrorDocument, OtherTextIsAnEmptyDocumentAndFieldsAreBounded) {
  for (const char* text : {"", "<Error>", "<html><body>Bad gateway</body></html>", "\xff\xfe"})
    EXPECT_EQ(ParseErrorDocument(text), ErrorDocument{}) << text;
  EXPECT_EQ(
      ParseErrorDocument("<Error><Code>" + std::string(1000, 'x') + "</Code></Error>").code.size(),
      256u);
}

TEST(ErrorDocument, TheDetailNamesOperationKeyStatusCodeAndRequest) {
  EXPECT_EQ(FailureOf(kGet, 403, {.code = "AccessDenied", .message = "m", .request_id = "5C3D"}),
            (Error{Errc::kDenied,
                   "GetObject 'a\\x0Ab': HTTP 403, AccessDenied, request 5C3D: the credentials "
                   "lack the right oss:GetObject"}));
  EXPECT_EQ(FailureOf(kGet, 404, {.code = "NoSuchBucket", .request_id = "5C3D"}),
            (Error{Errc::kNotFound,
                   "GetObject 'a\\x0Ab': HTTP 404, NoSuchBucket, request 5C3D: there is no such "
                   "bucket"}));
  EXPECT_EQ(FailureOf(kGet, 502, {}), (Error{Errc::kUnreachable, "GetObject 'a\\x0Ab': HTTP 502"}));
}

TEST(ErrorDocument, AStoreCannotForgeALogLine) {
  EXPECT_EQ(
      FailureOf(kGet, 400, {.code = "a\nb", .message = "c\x1b[2J", .request_id = "\r"}).detail,
      "GetObject 'a\\x0Ab': HTTP 400, a\\x0Ab, request \\x0D: c\\x1B[2J");
}

TEST(ErrorDocument, EachFailureHasTheCodeThatACallerActsOn) {
  struct Case {
    int status;
    const char* code;
    Errc expected;
  };
  for (const Case& c : {Case{400, "InvalidArgument", Errc::kInvalid},
                        {400, "ExpiredToken", Errc::kDenied},
                        {401, "", Errc::kDenied},
                        {403, "", Errc::kDenied},
                        {403, "SignatureDoesNotMatch", Errc::kDenied},
                        {403, "RequestTimeTooSkewed", Errc::kDenied},
                        {403, "InvalidAccessKeyId", Errc::kDenied},
                        {403, "InvalidObjectState", Errc::kArchived},
                        {404, "NoSuchKey", Errc::kNotFound},
                        {404, "NoSuchBucket", Errc::kNotFound},
                        {404, "", Errc::kNotFound},
                        {408, "RequestTimeout", Errc::kUnreachable},
                        {412, "PreconditionFailed", Errc::kChanged},
                        {416, "InvalidRange", Errc::kInvalid},
                        {429, "", Errc::kBusy},
                        {503, "SlowDown", Errc::kBusy},
                        {500, "InternalError", Errc::kUnreachable},
                        {504, "", Errc::kUnreachable},
                        {307, "", Errc::kInvalid}})
    EXPECT_EQ(FailureOf(kGet, c.status, {.code = c.code}).code, c.expected)
        << c.status << " " << c.code;
}

TEST(ErrorDocument, CredentialTroubleIsToldApart) {
  const auto detail = [](const char* code) { return FailureOf(kGet, 403, {.code = code}).detail; };
  EXPECT_EQ(detail("SecurityTokenExpired"),
            "GetObject 'a\\x0Ab': HTTP 403, SecurityTokenExpired: the security token has expired "
            "or is not valid");
  EXPECT_EQ(detail("SignatureDoesNotMatch"),
            "GetObject 'a\\x0Ab': HTTP 403, SignatureDoesNotMatch: the AccessKeySecret is wrong, "
            "or the region is not the bucket's (option region)");
  EXPECT_EQ(detail("InvalidAccessKeyId"),
            "GetObject 'a\\x0Ab': HTTP 403, InvalidAccessKeyId: the store does not know this "
            "AccessKeyId");
  EXPECT_EQ(detail("RequestTimeTooSkewed"),
            "GetObject 'a\\x0Ab': HTTP 403, RequestTimeTooSkewed: this machine's clock and the "
            "store's are too far apart");
}

TEST(ErrorDocument, AnotherEndpointIsNamed) {
  EXPECT_EQ(FailureOf(kGet, 403, {.code = "AccessDenied", .endpoint = "oss-cn-x.aliyuncs.com"}),
            (Error{Errc::kDenied,
                   "GetObject 'a\\x0Ab': HTTP 403, AccessDenied: the bucket is at another "
                   "endpoint: oss-cn-x.aliyuncs.com"}));
}

}  // namespace
}  // namespace shoal
