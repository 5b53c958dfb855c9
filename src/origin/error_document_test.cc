#include "origin/error_document.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr Operation kGet{"GetObject", "oss:GetObject", "a\nb"};
constexpr Operation kHead{"HeadObject", "oss:GetObject", "k", Operation::Kind::kHead};
constexpr Operation kList{"ListObjects", "oss:ListObjects", "d/", Operation::Kind::kBucket};

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
                   "lack the right oss:GetObject; it says: m"}));
  EXPECT_EQ(
      FailureOf(kGet, 403, {.code = "UserDisable", .message = "overdue", .request_id = "5"}),
      (Error{Errc::kDenied, "GetObject 'a\\x0Ab': HTTP 403, UserDisable, request 5: overdue"}));
  EXPECT_EQ(FailureOf(kGet, 404, {.code = "NoSuchBucket", .request_id = "5C3D"}),
            (Error{Errc::kUnusable,
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
  for (const Case& c : {Case{400, "InvalidArgument", Errc::kUnusable},
                        {400, "ExpiredToken", Errc::kDenied},
                        {400, "", Errc::kUnusable},
                        {401, "AccessDenied", Errc::kDenied},
                        {403, "AccessDenied", Errc::kDenied},
                        {403, "SignatureDoesNotMatch", Errc::kDenied},
                        {403, "RequestTimeTooSkewed", Errc::kDenied},
                        {403, "InvalidAccessKeyId", Errc::kDenied},
                        {403, "InvalidObjectState", Errc::kArchived},
                        {404, "NoSuchKey", Errc::kNotFound},
                        {404, "NoSuchVersion", Errc::kNotFound},
                        {404, "NoSuchBucket", Errc::kUnusable},
                        {405, "MethodNotAllowed", Errc::kUnusable},
                        {408, "RequestTimeout", Errc::kUnreachable},
                        {409, "OperationAborted", Errc::kUnusable},
                        {410, "", Errc::kUnusable},
                        {411, "MissingContentLength", Errc::kUnusable},
                        {412, "PreconditionFailed", Errc::kChanged},
                        {416, "InvalidRange", Errc::kUnusable},
                        {429, "", Errc::kBusy},
                        {503, "SlowDown", Errc::kBusy},
                        {500, "InternalError", Errc::kUnreachable},
                        {504, "", Errc::kUnreachable},
                        {301, "PermanentRedirect", Errc::kUnusable},
                        {302, "", Errc::kUnusable},
                        {307, "", Errc::kUnusable}})
    EXPECT_EQ(FailureOf(kGet, c.status, {.code = c.code}).code, c.expected)
        << c.status << " " << c.code;
}

TEST(ErrorDocument, OnlyAKeyCanBeMissing) {
  for (const char* code : {"", "NoSuchKey", "NoSuchBucket"}) {
    const ErrorDocument document{.code = code, .request_id = "5C3D"};
    EXPECT_EQ(FailureOf(kList, 404, document).code, Errc::kUnusable) << code;
    const bool is_key = std::string_view(code) != "NoSuchBucket";
    for (const Operation& operation : {kGet, kHead})
      EXPECT_EQ(FailureOf(operation, 404, document).code,
                is_key ? Errc::kNotFound : Errc::kUnusable)
          << operation.name << code;
  }
}

TEST(ErrorDocument, AnAnswerThatIsOfNoStoreSaysNothingOfTheKeyOrTheRight) {
  for (const Operation& operation : {kGet, kList})
    for (const int status : {401, 403, 404})
      EXPECT_EQ(FailureOf(operation, status, {}).code, Errc::kUnusable) << status;
  EXPECT_EQ(FailureOf(kList, 403, {.server = "squid/5.7"}).detail,
            "ListObjects 'd/': HTTP 403 of squid/5.7: not the answer of an object store, but of a "
            "proxy or another service");
  EXPECT_EQ(FailureOf(kList, 502, {.server = "n\nx"}).detail,
            "ListObjects 'd/': HTTP 502 of n\\x0Ax");
  EXPECT_EQ(FailureOf(kList, 407, {}).detail,
            "ListObjects 'd/': HTTP 407: the proxy asks for a user name and a password");
  // A HEAD has no document that could tell.
  EXPECT_EQ(FailureOf(kHead, 404, {.server = "s"}),
            (Error{Errc::kNotFound, "HeadObject 'k': HTTP 404"}));
  EXPECT_EQ(FailureOf(kHead, 403, {}).code, Errc::kDenied);
  EXPECT_EQ(
      FailureOf(kHead, 400, {}).detail,
      "HeadObject 'k': HTTP 400: an answer to HEAD has no reason; as a rule it is a token that "
      "has expired, another region than the bucket's, or a clock that is wrong");
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
