#include "origin/http_object_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "origin/text_values.h"
#include "testing/scripted_http_server.h"

namespace shoal {
namespace {

using Then = ScriptedReply::Then;

constexpr const char* kDated = "Last-Modified: Fri, 24 Feb 2012 08:43:07 GMT\r\n";

class FixedKeys final : public CredentialSource {
 public:
  Result<AccessKeys> Current() override {
    return AccessKeys{.id = "ak", .secret = "hidden-secret", .security_token = "hidden-token"};
  }
};

class KeepBytes final : public ByteSink {
 public:
  bool Append(std::span<const std::byte> bytes) override {
    kept.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return wants_more;
  }
  std::string kept;
  bool wants_more = true;
};

ScriptedReply Partial(const std::string& content_range, const std::string& body,
                      const std::string& etag = "\"e\"") {
  return Answer("206 Partial Content",
                "ETag: " + etag + "\r\nContent-Range: " + content_range + "\r\n", body);
}

class HttpObjectStoreTest : public testing::Test {
 protected:
  // Starts the server with `script` as its answer to everything, and a store that asks it.
  void Serve(ScriptedHttpServer::Script script, SignatureScheme scheme = SignatureScheme::kOssV4) {
    server_ = std::make_unique<ScriptedHttpServer>(std::move(script));
    OriginOptions options;
    options.bucket = "data";
    options.endpoint = server_->origin();
    options.protocol = scheme == SignatureScheme::kAwsV4 ? "s3" : "oss";
    store_ = std::make_unique<HttpObjectStore>(
        AddressOf(options).value(), scheme, std::make_unique<FixedKeys>(),
        HttpClient::Create({}, clock_).value(), quiet_time_, &requests_, clock_);
  }
  [[nodiscard]] Deadline Soon() const { return Deadline::After(clock_, std::chrono::seconds(20)); }
  Result<GetAnswer> Get(ByteRange range) {
    return store_->Get({"k", "\"e\"", 10}, range, sink_, Soon());
  }
  // What a Get of bytes 2 to 5 fails with when it is answered so; nothing may reach the sink.
  Error WrongGet(const ScriptedReply& reply) {
    Serve([&](const auto&) { return reply; });
    const auto outcome = Get({2, 4});
    EXPECT_EQ(sink_.kept, "");
    return outcome ? Error{Errc::kInvalid, "was accepted"} : outcome.error();
  }

  SystemClock clock_;
  std::shared_ptr<QuietTime> quiet_time_ = std::make_shared<QuietTime>();
  LastRequests requests_;
  std::unique_ptr<ScriptedHttpServer> server_;
  std::unique_ptr<HttpObjectStore> store_;
  KeepBytes sink_;
};

// The signature of a request as it came over the wire.
std::string SignatureOnTheWire(SignatureScheme scheme, const ScriptedRequest& wire) {
  SignableRequest request{.method = wire.method, .bucket = "data", .headers = wire.headers};
  const size_t question = wire.target.find('?');
  request.encoded_path = wire.target.substr(0, question);
  request.key = PercentDecode(request.encoded_path, false).value().substr(6);  // "/data/"
  for (size_t at = question; at < wire.target.size();) {
    const size_t end = std::min(wire.target.find('&', at + 1), wire.target.size());
    const std::string item = wire.target.substr(at + 1, end - at - 1);
    const size_t equals = std::min(item.find('='), item.size());
    request.query.emplace_back(
        PercentDecode(item.substr(0, equals), false).value(),
        PercentDecode(item.substr(std::min(equals + 1, item.size())), false).value());
    at = end;
  }
  if (scheme == SignatureScheme::kOssV1)
    return Signature(scheme, request, {.timestamp = wire.headers.at("date")}, "hidden-secret");
  const bool aws = scheme == SignatureScheme::kAwsV4;
  SigningScope scope{.timestamp = wire.headers.at(aws ? "x-amz-date" : "x-oss-date"),
                     .region = aws ? "us-east-1" : "cn-hangzhou",
                     .service = aws ? "s3" : "oss"};
  if (aws) {
    const std::string& authorization = wire.headers.at("authorization");
    const std::string marker = "SignedHeaders=";
    const size_t from = authorization.find(marker) + marker.size();
    std::istringstream names(authorization.substr(from, authorization.find(',', from) - from));
    for (std::string name; std::getline(names, name, ';');) scope.signed_headers.push_back(name);
  }
  return Signature(scheme, request, scope, "hidden-secret");
}

TEST_F(HttpObjectStoreTest, EveryDialectSignsWhatGoesOverTheWire) {
  for (const auto scheme :
       {SignatureScheme::kOssV1, SignatureScheme::kOssV4, SignatureScheme::kAwsV4}) {
    Serve([](const auto&) { return Answer("404 Not Found", "", ""); }, scheme);
    EXPECT_FALSE(store_->Head("a b/ü+%2F", Soon()));
    EXPECT_FALSE(store_->Get({"k", "\"e\"", 10}, {2, 4}, sink_, Soon()));
    EXPECT_FALSE(store_->List({.prefix = "a b/", .delimiter = "/", .from = "t+/="}, Soon()));
    EXPECT_FALSE(store_->Usage(Soon()));
    EXPECT_EQ(server_->requests().size(), scheme == SignatureScheme::kAwsV4 ? 3u : 4u);
    for (const auto& request : server_->requests()) {
      EXPECT_TRUE(request.headers.at("authorization")
                      .ends_with((scheme == SignatureScheme::kOssV1 ? ":" : "Signature=") +
                                 SignatureOnTheWire(scheme, request)))
          << request.target;
    }
  }
}

TEST_F(HttpObjectStoreTest, HeadTellsWhatAnObjectIs) {
  Serve([](const auto&) {
    return ScriptedReply{.bytes = std::string("HTTP/1.1 200 OK\r\nContent-Length: 344606\r\n"
                                              "ETag: \"fba9dede5f27731c9771645a3986****\"\r\n"
                                              "x-oss-storage-class: Archive\r\n") +
                                  kDated + "\r\n"};
  });
  const auto info = store_->Head("dir/key", Soon());
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->version,
            (ObjectVersion{"dir/key", "\"fba9dede5f27731c9771645a3986****\"", 344606}));
  EXPECT_EQ(info->modified_unix_seconds, 1330072987);
  EXPECT_EQ(info->storage_class, StorageClass::kArchive);
  EXPECT_EQ(server_->requests()[0].method, "HEAD");
  EXPECT_EQ(server_->requests()[0].target, "/data/dir/key");
}

TEST_F(HttpObjectStoreTest, HeadOfAMissingKeyNamesTheRequest) {
  Serve([](const auto&) {
    return ScriptedReply{.bytes =
                             "HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n"
                             "x-oss-request-id: 5C3D\r\nx-oss-ec: 0026-00000001\r\n\r\n"};
  });
  EXPECT_EQ(store_->Head("k", Soon()).error(),
            (Error{Errc::kNotFound, "HeadObject 'k': HTTP 404, 0026-00000001, request 5C3D"}));
}

TEST_F(HttpObjectStoreTest, HeadReadsTheErrorDocumentThatOssPutsInAHeader) {
  Serve([](const auto&) {
    return ScriptedReply{// <Error><Code>NoSuchBucket</Code></Error>
                         .bytes =
                             "HTTP/1.1 404 Not Found\r\nx-oss-request-id: 5C3D\r\n"
                             "x-oss-err: PEVycm9yPjxDb2RlPk5vU3VjaEJ1Y2tldDwvQ29kZT48L0Vycm9y"
                             "Pg==\r\n\r\n"};
  });
  EXPECT_EQ(
      store_->Head("k", Soon()).error(),
      (Error{Errc::kUnusable,
             "HeadObject 'k': HTTP 404, NoSuchBucket, request 5C3D: there is no such bucket"}));
}

TEST_F(HttpObjectStoreTest, HeadRefusesAnAnswerWithoutAnETag) {
  Serve([](const auto&) { return Answer("200 OK", kDated, ""); });
  EXPECT_EQ(store_->Head("k", Soon()).error(),
            (Error{Errc::kUnreachable, "HeadObject 'k': answered wrongly: no ETag (HTTP 200)"}));
}

TEST_F(HttpObjectStoreTest, GetAsksForARangeOfOneVersion) {
  Serve([](const auto&) { return Partial("bytes 2-5/10", "2345"); });
  const auto outcome = Get({2, 4});
  ASSERT_TRUE(outcome) << outcome.error().detail;
  EXPECT_EQ(sink_.kept, "2345");
  const auto request = server_->requests()[0];
  EXPECT_EQ(request.target, "/data/k");
  EXPECT_EQ(request.headers.at("range"), "bytes=2-5");
  EXPECT_EQ(request.headers.at("if-match"), "\"e\"");
  EXPECT_EQ(request.headers.at("x-oss-range-behavior"), "standard");
  EXPECT_EQ(request.headers.at("x-oss-security-token"), "hidden-token");
}

TEST_F(HttpObjectStoreTest, GetOfAWholeObjectMayBeAnsweredWith200) {
  Serve([](const auto&) { return Answer("200 OK", "ETag: \"e\"\r\n", "0123456789"); });
  ASSERT_TRUE(Get({0, 10}));
  EXPECT_EQ(sink_.kept, "0123456789");
}

TEST_F(HttpObjectStoreTest, GetTellsTheChecksumThatOssTellsOfTheObject) {
  const auto told = [&](const std::string& headers, SignatureScheme scheme) {
    Serve(
        [=](const auto&) {
          return Answer(
              "206 Partial Content",
              "ETag: \"e\"\r\nContent-Range: bytes 2-5/10\r\nx-oss-request-id: R1\r\n" + headers,
              "2345");
        },
        scheme);
    const auto answer = Get({2, 4});
    EXPECT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->request_id, "R1");
    return answer->crc64;
  };
  const std::string sum = "x-oss-hash-crc64ecma: 18446744073709551615\r\n";
  using enum SignatureScheme;
  EXPECT_EQ(told(sum, kOssV4), UINT64_MAX);
  EXPECT_EQ(told(sum + "x-oss-object-type: Normal\r\n", kOssV4), UINT64_MAX);
  EXPECT_EQ(told(sum + "x-oss-object-type: Symlink\r\n", kOssV4), std::nullopt)
      << "it is the link's, and the bytes are its target's";
  EXPECT_EQ(told(sum, kAwsV4), std::nullopt);
  EXPECT_EQ(told("x-oss-hash-crc64ecma: none\r\n", kOssV4), std::nullopt);
  EXPECT_EQ(told("", kOssV4), std::nullopt);
}

TEST_F(HttpObjectStoreTest, GetTakesAChunkedBodyOfTheRightLength) {
  const std::string head =
      "HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\nETag: \"e\"\r\n"
      "Content-Range: bytes 2-5/10\r\nx-oss-request-id: 5C3D\r\n\r\n";
  Serve([&](const auto&) {
    return ScriptedReply{.bytes = head + "1\r\n2\r\n3\r\n345\r\n0\r\n\r\n"};
  });
  ASSERT_TRUE(Get({2, 4}));
  EXPECT_EQ(sink_.kept, "2345");

  Serve([&](const auto&) { return ScriptedReply{.bytes = head + "2\r\n23\r\n0\r\n\r\n"}; });
  EXPECT_EQ(Get({2, 4}).error(),
            (Error{Errc::kUnreachable,
                   "GetObject 'k': answered wrongly: too few bytes (HTTP 206, request 5C3D)"}));
  Serve([&](const auto&) { return ScriptedReply{.bytes = head + "5\r\n23456\r\n0\r\n\r\n"}; });
  EXPECT_EQ(Get({2, 4}).error(),
            (Error{Errc::kUnreachable,
                   "GetObject 'k': answered wrongly: too many bytes (HTTP 206, request 5C3D)"}));
}

TEST_F(HttpObjectStoreTest, GetBelievesNoAnswerToAnotherQuestion) {
  const auto wrong = [](const std::string& what, int status = 206) {
    return Error{Errc::kUnreachable,
                 fmt::format("GetObject 'k': answered wrongly: {} (HTTP {})", what, status)};
  };
  EXPECT_EQ(WrongGet(Answer("200 OK", "", "0123456789")),
            wrong("Content-Length 10 for 4 bytes", 200));
  EXPECT_EQ(WrongGet(Answer("200 OK", "", "2345")), wrong("the whole object for a range", 200));
  EXPECT_EQ(WrongGet(Answer("204 No Content", "", "")), wrong("Content-Length 0 for 4 bytes", 204));
  EXPECT_EQ(WrongGet(Partial("bytes 3-6/10", "3456")),
            wrong("Content-Range 'bytes 3-6/10' for 4 bytes at 2"));
  EXPECT_EQ(WrongGet(Partial("bytes 1-5/10", "2345")),
            wrong("Content-Range 'bytes 1-5/10' for 4 bytes at 2"));
  EXPECT_EQ(WrongGet(Partial("bytes 2-5/11", "2345")),
            wrong("Content-Range 'bytes 2-5/11' for 4 bytes at 2"));
  EXPECT_EQ(WrongGet(Partial("", "2345")), wrong("Content-Range '' for 4 bytes at 2"));
  EXPECT_EQ(WrongGet(Partial("bytes 2-5/10", "234")), wrong("Content-Length 3 for 4 bytes"));
  EXPECT_EQ(WrongGet(Partial("bytes 2-5/10", "2345", "\"f\"")),
            wrong("another ETag than was asked for"));
  // If-Match may have been lost on the way as the ETag was.
  EXPECT_EQ(WrongGet(Answer("206 Partial Content", "Content-Range: bytes 2-5/10\r\n", "2345")),
            wrong("no ETag"));
  Serve([](const auto&) { return Answer("200 OK", "", "0123456789"); });
  EXPECT_EQ(Get({0, 10}).error(), wrong("no ETag", 200));
  EXPECT_EQ(sink_.kept, "");
}

TEST_F(HttpObjectStoreTest, AVersionWithoutAnETagIsReadWithoutOne) {
  Serve([](const auto&) {
    return Answer("206 Partial Content", "Content-Range: bytes 2-5/10\r\n", "2345");
  });
  const auto outcome = store_->Get({"k", "", 10}, {2, 4}, sink_, Soon());
  ASSERT_TRUE(outcome) << outcome.error().detail;
  EXPECT_EQ(sink_.kept, "2345");
}

TEST_F(HttpObjectStoreTest, GetCutShortFailsHavingSentAPrefix) {
  Serve([](const auto&) {
    return ScriptedReply{.bytes =
                             "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nETag: \"e\"\r\n"
                             "Content-Range: bytes 2-5/10\r\n\r\n23",
                         .then = Then::kClose};
  });
  const auto outcome = Get({2, 4});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::kUnreachable);
  EXPECT_TRUE(outcome.error().detail.starts_with("GetObject 'k': " + server_->origin() + ": "))
      << outcome.error().detail;
  EXPECT_TRUE(outcome.error().detail.ends_with(" (HTTP 206)")) << outcome.error().detail;
  EXPECT_EQ(sink_.kept, "23");
}

TEST_F(HttpObjectStoreTest, ASinkThatWantsNoMoreInterrupts) {
  Serve([](const auto&) { return Partial("bytes 2-5/10", "2345"); });
  sink_.wants_more = false;
  EXPECT_EQ(Get({2, 4}).error().code, Errc::kInterrupted);
}

TEST_F(HttpObjectStoreTest, AFailureIsToldWithItsCodeAndRequestAndNoSecret) {
  Serve([](const auto&) {
    return Answer("403 Forbidden", "x-oss-request-id: 5C3D\r\n",
                  "<Error><Code>AccessDenied</Code><Message>m</Message></Error>");
  });
  EXPECT_EQ(Get({2, 4}).error(),
            (Error{Errc::kDenied,
                   "GetObject 'k': HTTP 403, AccessDenied, request 5C3D: the credentials lack the "
                   "right oss:GetObject; it says: m"}));
  EXPECT_EQ(store_->List({.prefix = "p/"}, Soon()).error(),
            (Error{Errc::kDenied,
                   "ListObjects 'p/': HTTP 403, AccessDenied, request 5C3D: the credentials lack "
                   "the right oss:ListObjects; it says: m"}));
  EXPECT_EQ(store_->Usage(Soon()).error(),
            (Error{Errc::kDenied,
                   "GetBucketStat 'data': HTTP 403, AccessDenied, request 5C3D: the credentials "
                   "lack the right oss:GetBucketStat; it says: m"}));
}

TEST_F(HttpObjectStoreTest, AnErrorDocumentCutShortOrTooLongStillHasItsStatus) {
  Serve([](const auto&) {
    return ScriptedReply{
        .bytes = "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 99\r\n\r\n<E",
        .then = Then::kClose};
  });
  EXPECT_EQ(Get({2, 4}).error(), (Error{Errc::kChanged, "GetObject 'k': HTTP 412"}));
  Serve([](const auto&) { return Answer("500 Oh", "", std::string(100 * kKiB, '<')); });
  EXPECT_EQ(Get({2, 4}).error(), (Error{Errc::kUnreachable, "GetObject 'k': HTTP 500"}));
}

TEST_F(HttpObjectStoreTest, RedirectsAreNotFollowedWithOurSignature) {
  ScriptedHttpServer other([](const auto&) { return Answer("200 OK", "", "stolen"); });
  Serve([&](const auto&) {
    return Answer("307 Temporary Redirect", "Location: " + other.origin() + "/data/k\r\n", "");
  });
  EXPECT_EQ(Get({2, 4}).error(),
            (Error{Errc::kUnusable,
                   "GetObject 'k': HTTP 307: redirects are not followed; check the endpoint"}));
  EXPECT_TRUE(other.requests().empty());
}

TEST_F(HttpObjectStoreTest, EveryByteOfAKeyArrives) {
  std::string key;
  for (int i = 1; i < 256; ++i) key += static_cast<char>(i);
  key += "/.././/";
  for (const auto scheme : {SignatureScheme::kOssV4, SignatureScheme::kAwsV4}) {
    Serve([](const auto&) { return Answer("404 Not Found", "", ""); }, scheme);
    EXPECT_EQ(store_->Head(key, Soon()).error().code, Errc::kNotFound);
    EXPECT_EQ(PercentDecode(server_->requests()[0].target, false), "/data/" + key);
  }
}

TEST_F(HttpObjectStoreTest, AKeyOrAnETagCannotAddAHeader) {
  Serve([](const auto&) { return Partial("bytes 2-5/10", "2345"); });
  EXPECT_FALSE(store_->Head("k HTTP/1.1\r\nX-Injected: 1\r\n\r\n", Soon()));
  EXPECT_EQ(server_->requests()[0].headers.count("x-injected"), 0u);
  EXPECT_EQ(store_->Get({"k", "\"e\"\r\nX-Injected: 1", 10}, {2, 4}, sink_, Soon()).error(),
            (Error{Errc::kUnusable, "GetObject 'k': a control byte in header 'if-match'"}));
}

TEST_F(HttpObjectStoreTest, ListAsksForAPageAndReadsIt) {
  Serve([](const auto&) {
    return Answer("200 OK", "Content-Type: application/xml\r\n",
                  "<ListBucketResult><EncodingType>url</EncodingType>"
                  "<IsTruncated>true</IsTruncated><NextContinuationToken>t2</NextContinuationToken>"
                  "<Contents><Key>a%20b%2Fc</Key><LastModified>2012-02-24T08:43:07.000Z"
                  "</LastModified><ETag>\"e\"</ETag><Size>5</Size></Contents>"
                  "<CommonPrefixes><Prefix>a%20b%2Fd%2F</Prefix></CommonPrefixes>"
                  "</ListBucketResult>");
  });
  const auto page =
      store_->List({.prefix = "a b/", .delimiter = "/", .from = "t+1", .max_keys = 7}, Soon());
  ASSERT_TRUE(page) << page.error().detail;
  ASSERT_EQ(page->objects.size(), 1u);
  EXPECT_EQ(page->objects[0].version, (ObjectVersion{"a b/c", "\"e\"", 5}));
  EXPECT_EQ(page->common_prefixes, (std::vector<std::string>{"a b/d/"}));
  EXPECT_EQ(page->next, "t2");
  EXPECT_EQ(server_->requests()[0].target,
            "/data/?list-type=2&encoding-type=url&max-keys=7&prefix=a%20b%2F&delimiter=%2F"
            "&continuation-token=t%2B1");

  ASSERT_TRUE(store_->List({.prefix = "a b/", .delimiter = "/", .after = "a b/%"}, Soon()));
  EXPECT_EQ(server_->requests()[1].target,
            "/data/?list-type=2&encoding-type=url&max-keys=1000&prefix=a%20b%2F&delimiter=%2F"
            "&start-after=a%20b%2F%25");
}

// Ceph's token is the last key as it is, whatever the encoding of the keys.
TEST_F(HttpObjectStoreTest, OnS3ATokenGoesBackAsItCameAndOnOssAsItWasBeforeItWasEncoded) {
  const auto script = [](const auto&) {
    return Answer("200 OK", "",
                  "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true"
                  "</IsTruncated><NextContinuationToken>k%2D1</NextContinuationToken>"
                  "</ListBucketResult>");
  };
  for (const auto& [scheme, token] :
       {std::pair(SignatureScheme::kAwsV4, "k%2D1"), std::pair(SignatureScheme::kOssV4, "k-1")}) {
    Serve(script, scheme);
    const auto page = store_->List({}, Soon());
    ASSERT_TRUE(page) << page.error().detail;
    EXPECT_EQ(page->next, token);
  }
}

// The sink of a document refuses what is past its limit; no caller changed its mind.
TEST_F(HttpObjectStoreTest, ADocumentThatIsTooLongIsAWrongAnswerAndNotAnInterrupt) {
  Serve([](const auto&) {
    return Answer("200 OK", "", "<BucketStat>" + std::string(65536, ' ') + "</BucketStat>");
  });
  const auto usage = store_->Usage(Soon());
  ASSERT_FALSE(usage);
  EXPECT_EQ(usage.error().code, Errc::kUnreachable);
}

TEST_F(HttpObjectStoreTest, AMangledListIsNotAnEmptyOne) {
  Serve([](const auto&) { return Answer("200 OK", "", "<ListBucketResult><Contents>"); });
  const auto page = store_->List({}, Soon());
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, Errc::kUnreachable);
}

TEST_F(HttpObjectStoreTest, UsageIsWhatOssCountedAndS3DoesNot) {
  const auto script = [](const auto&) {
    return Answer("200 OK", "",
                  "<BucketStat><Storage>1600</Storage><ObjectCount>230</ObjectCount></BucketStat>");
  };
  Serve(script);
  const auto usage = store_->Usage(Soon());
  ASSERT_TRUE(usage) << usage.error().detail;
  EXPECT_EQ(usage->stored_bytes, 1600u);
  EXPECT_EQ(usage->object_count, 230u);
  EXPECT_EQ(server_->requests()[0].target, "/data/?stat");
  Serve(script, SignatureScheme::kAwsV4);
  EXPECT_EQ(store_->Usage(Soon()).error().code, Errc::kUnsupported);
}

TEST_F(HttpObjectStoreTest, TheLastRequestForAnObjectIsKeptWithItsIdHoweverItEnded) {
  const auto partial = [](const std::string& id, const std::string& body) {
    return Answer("206 Partial Content",
                  "ETag: \"e\"\r\nContent-Range: bytes 2-5/10\r\nx-amz-request-id: " + id + "\r\n",
                  body);
  };
  const std::vector<ScriptedReply> replies = {
      Answer("200 OK", std::string("ETag: \"e\"\r\nx-oss-request-id: H1\r\n") + kDated, ""),
      partial("G1", "2345"), partial("G2", "23"),
      Answer("503 Slow", "x-oss-request-id: G3\r\n", ""), ScriptedReply{.then = Then::kClose}};
  Serve([replies, index = size_t{0}](const auto&) mutable {
    return replies[std::min(index++, replies.size() - 1)];
  });
  EXPECT_EQ(requests_.Of("k"), std::nullopt);

  const int64_t before = clock_.UnixMicros();
  ASSERT_TRUE(store_->Head("k", Soon()));
  EXPECT_GE(requests_.Of("k")->ended_unix_micros, before);
  EXPECT_LE(requests_.Of("k")->ended_unix_micros, clock_.UnixMicros());
  const auto expect_last = [&](const std::string& operation, const std::string& id, int status,
                               const std::string& failure) {
    const LastRequest last = requests_.Of("k").value();
    EXPECT_EQ(last, (LastRequest{operation, id, status, failure, last.ended_unix_micros}));
  };
  expect_last("HeadObject", "H1", 200, "");
  ASSERT_TRUE(Get({2, 4}));
  expect_last("GetObject", "G1", 206, "");
  const auto too_few = Get({2, 4});
  ASSERT_FALSE(too_few);
  expect_last("GetObject", "G2", 206, too_few.error().detail);
  const auto refused = Get({2, 4});
  ASSERT_FALSE(refused);
  expect_last("GetObject", "G3", 503, refused.error().detail);
  const auto unanswered = Get({2, 4});
  ASSERT_FALSE(unanswered);
  expect_last("GetObject", "", 0, unanswered.error().detail);
}

TEST_F(HttpObjectStoreTest, RetryAfterIsHeard) {
  Serve([](const auto&) { return Answer("503 Slow", "Retry-After: 100\r\n", ""); });
  EXPECT_EQ(Get({2, 4}).error().code, Errc::kBusy);
  EXPECT_GT(quiet_time_->Remaining(clock_), std::chrono::seconds(70));
  EXPECT_LE(quiet_time_->Remaining(clock_), std::chrono::seconds(100));
}

TEST_F(HttpObjectStoreTest, WhatTheStoreServesEndsTheTimeThatItAskedFor) {
  int count = 0;
  Serve([&](const auto&) {
    if (++count == 1) return Answer("503 Slow", "Retry-After: 100\r\n", "");
    return Answer("206 Partial Content", "ETag: \"e\"\r\nContent-Range: bytes 2-5/10\r\n", "2345");
  });
  EXPECT_EQ(Get({2, 4}).error().code, Errc::kBusy);
  EXPECT_GT(quiet_time_->Remaining(clock_), Duration::zero());
  EXPECT_TRUE(Get({2, 4}));
  EXPECT_EQ(quiet_time_->Remaining(clock_), Duration::zero());
}

}  // namespace
}  // namespace shoal
