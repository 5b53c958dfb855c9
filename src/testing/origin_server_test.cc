// The embedded origin as its clients see it.
#include "testing/origin_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <thread>

#include "origin/open_store.h"
#include "origin/text_values.h"
#include "testing/fake_clock.h"
#include "testing/no_descriptors.h"
#include "testing/origin_bucket.h"
#include "testing/origin_digest.h"
#include "testing/origin_http_client.h"
#include "testing/origin_message.h"
#include "testing/origin_range.h"
#include "testing/origin_server_fixture.h"
#include "testing/origin_service.h"
#include "testing/raw_http_client.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using embedded::HttpAnswer;
using embedded::Operation;
using embedded::OriginHttpClient;
using embedded::RequestTarget;
using embedded::SplitTarget;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class FixedKeys final : public CredentialSource {
 public:
  explicit FixedKeys(AccessKeys keys) : keys_(std::move(keys)) {}
  Result<AccessKeys> Current() override { return keys_; }

 private:
  const AccessKeys keys_;
};

class OriginServerTest : public OriginServerFixture {};

TEST_F(OriginServerTest, KeysThatNoFileCanBeNamedAfterAreStoredListedAndSurviveARestart) {
  Start();
  const std::vector<std::string> keys = {"/lead",
                                         "a",
                                         "a/",
                                         "a//b",
                                         "a/b",
                                         "a/b/c",
                                         "dot/../x",
                                         "..",
                                         ".",
                                         "end/",
                                         "x\xfe\xff",
                                         std::string(300, 'n'),
                                         ".shoal-origin/tmp"};
  for (const std::string& key : keys)
    ASSERT_EQ(Ask("PUT", key, {}, {{"x-oss-meta-k", "m"}}, "bytes of " + key).status, 200) << key;
  std::vector<std::string> sorted = keys;
  std::ranges::sort(sorted);
  for (int restart = 0; restart < 2; ++restart) {
    for (const std::string& key : keys) {
      const HttpAnswer got = Ask("GET", key);
      EXPECT_EQ(got.body, "bytes of " + key);
      EXPECT_EQ(got.headers.at("x-oss-meta-k"), "m");
    }
    EXPECT_EQ(List({}, 3), sorted);
    Start();
  }
  for (const std::string& key : keys) EXPECT_EQ(Ask("DELETE", key).status, 204);
  EXPECT_EQ(List({}, 100), std::vector<std::string>{});
}

TEST_F(OriginServerTest, FilesWrittenFromOutsideAreObjectsAndAChangeIsNoticed) {
  Start();
  WriteOutside("d/outside", "first");
  const HttpAnswer first = Ask("GET", "d/outside");
  EXPECT_EQ(first.body, "first");
  EXPECT_EQ(first.headers.at("etag"), "\"8B04D5E3775D298E78455EFC5CA404D5\"");
  WriteOutside("d/outside", "second one");
  const HttpAnswer second = Ask("GET", "d/outside");
  EXPECT_EQ(second.body, "second one");
  EXPECT_NE(second.headers.at("etag"), first.headers.at("etag"));
  EXPECT_THAT(List({}, 10), ElementsAre("d/outside"));
  WriteOutside("d/another", "x");
  EXPECT_THAT(List({}, 10), ElementsAre("d/another", "d/outside"));
}

TEST_F(OriginServerTest, AFileReplacedFromOutsideLosesTheMetadataOfTheObjectBefore) {
  Start();
  ASSERT_EQ(
      Ask("PUT", "k", {}, {{"content-type", "text/plain"}, {"x-oss-meta-a", "b"}}, "old").status,
      200);
  EXPECT_EQ(Ask("HEAD", "k").headers.at("x-oss-meta-a"), "b");
  WriteOutside("k", "newer");
  const HttpAnswer got = Ask("GET", "k");
  EXPECT_EQ(got.body, "newer");
  EXPECT_FALSE(got.headers.contains("x-oss-meta-a"));
  EXPECT_EQ(got.headers.at("content-type"), "application/octet-stream");
}

TEST_F(OriginServerTest, NothingOutsideTheDirectoryIsReached) {
  std::ofstream(folder_ / "secret") << "secret";
  Start();
  fs::create_symlink(folder_ / "secret", InBucket("link"));
  fs::create_directory_symlink(folder_, InBucket("up"));
  fs::create_directory_symlink(folder_, fs::path(options_.root) / "evil-bucket");
  ASSERT_EQ(mkfifo(InBucket("pipe").c_str(), 0600), 0);
  for (const char* key : {"link", "up/secret", "../../secret", "/../../secret", "pipe"})
    EXPECT_EQ(Ask("GET", key).status, 404) << key;
  EXPECT_EQ(client_->Ask("GET", "evil-bucket", "secret").status, 404);
  EXPECT_EQ(client_->Ask("GET", "..", "secret").status, 404);
  EXPECT_EQ(List({}, 10), std::vector<std::string>{});
  EXPECT_EQ(Ask("PUT", "up/new", {}, {}, "x").status, 200);
  EXPECT_EQ(Ask("PUT", "../../new", {}, {}, "x").status, 200);
  EXPECT_FALSE(fs::exists(folder_ / "new"));
  EXPECT_EQ(Ask("GET", "up/new").body, "x");
}

TEST_F(OriginServerTest, ManyKeysArePagedOnceEachInOrder) {
  Start();
  std::vector<std::string> expected;
  for (int i = 0; i < 2500; ++i) {
    const std::string name = fmt::format("n{:05}", i);
    WriteOutside("many/" + name, "");
    expected.push_back("many/" + name);
  }
  EXPECT_EQ(List({{"prefix", "many/"}, {"delimiter", "/"}}, 1000), expected);
  EXPECT_EQ(server_->RequestCount(Operation::kList), 3U);
  EXPECT_THAT(List({{"delimiter", "/"}}, 1), ElementsAre("many/"));
}

TEST_F(OriginServerTest, PagesGoOnAfterAKeyThatLooksEncodedInEitherDialect) {
  Start();
  const std::vector<std::string> keys = {"100%", "k%2D1", "k%2D2", "k-0", "k.z"};
  for (const std::string& key : keys) WriteOutside(key, "x");
  for (const char* dialect : {"oss", "s3"}) {
    OriginOptions options;
    options.bucket = "bucket";
    options.endpoint = server_->url();
    options.protocol = dialect;
    const auto store = OpenStore(options, std::make_shared<FixedKeys>(keys_), clock_).value();
    std::vector<std::string> listed;
    ListQuery query{.max_keys = 1};
    do {
      const auto page = store->List(query, Deadline::After(clock_, std::chrono::seconds(20)));
      ASSERT_TRUE(page) << page.error().detail;
      for (const ObjectInfo& object : page->objects) listed.push_back(object.version.key);
      query.from = page->next;
    } while (query.from);
    EXPECT_EQ(listed, keys) << dialect;
  }
}

TEST_F(OriginServerTest, EmptyDirectoriesAreNotObjectsNorPrefixes) {
  Start();
  fs::create_directories(InBucket("empty/inner"));
  WriteOutside("full/x", "x");
  EXPECT_THAT(List({{"delimiter", "/"}}, 10), ElementsAre("full/"));
}

TEST_F(OriginServerTest, ASparseFileOfFiveTerabytesIsServed) {
  Start();
  constexpr off_t kSize = off_t{5} << 40;
  const int fd = open(InBucket("huge").c_str(), O_CREAT | O_WRONLY, 0644);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(ftruncate(fd, kSize), 0);
  ASSERT_EQ(pwrite(fd, "end", 3, kSize - 3), 3);
  close(fd);
  EXPECT_EQ(Ask("HEAD", "huge").headers.at("content-length"), std::to_string(kSize));
  const HttpAnswer tail = Ask("GET", "huge", {}, {{"range", "bytes=-5"}});
  EXPECT_EQ(tail.status, 206);
  EXPECT_EQ(tail.body, std::string("\0\0end", 5));
  EXPECT_EQ(tail.headers.at("content-range"), "bytes " + std::to_string(kSize - 5) + "-" +
                                                  std::to_string(kSize - 1) + "/" +
                                                  std::to_string(kSize));
  EXPECT_THAT(Ask("GET", "", {{"stat", ""}}).body,
              testing::HasSubstr("<Storage>" + std::to_string(kSize) + "</Storage>"));
}

TEST_F(OriginServerTest, RangesAndConditionsAnswerAsTheServiceDoes) {
  Start();
  const std::string etag = Ask("PUT", "k", {}, {}, "0123456789").headers.at("etag");
  EXPECT_EQ(Ask("GET", "k", {}, {{"range", "bytes=2-4"}}).body, "234");
  EXPECT_EQ(Ask("GET", "k", {}, {{"range", "bytes=8-20"}}).status, 200);
  const OriginHttpClient::Headers standard = {{"range", "bytes=8-20"},
                                              {"x-oss-range-behavior", "standard"}};
  EXPECT_EQ(Ask("GET", "k", {}, standard).body, "89");
  EXPECT_EQ(Ask("GET", "k", {}, {{"if-match", etag}}).status, 200);
  EXPECT_EQ(Code(Ask("GET", "k", {}, {{"if-match", "\"X\""}})), "PreconditionFailed");
  EXPECT_EQ(Ask("GET", "k", {}, {{"if-none-match", etag}}).status, 304);
}

// Asked without sockets, for which there would be no descriptor either.
TEST_F(OriginServerTest, HoweverFewDescriptorsThereAreNothingIsCalledMissingOrDoneThatIsNot) {
  Start();
  const std::vector<std::string> keys = {"/aside", "d/k"};
  struct NoBody final : embedded::RequestBody {
    embedded::ServiceResult<size_t> Read(std::span<std::byte>) override { return 0; }
  } body;
  const auto ask = [&](embedded::OriginService& asked, Operation operation,
                       const std::string& key = "") {
    embedded::OriginRequest request;
    request.method = operation == Operation::kHead ? "HEAD" : "GET";
    request.bucket = "bucket";
    request.key = key;
    auto answer = asked.Handle(operation, request, body);
    if (answer) return *std::move(answer);
    return embedded::OriginAnswer{.status = answer.error().status};
  };
  int refused_count = 0;
  const auto is_refused = [&](const embedded::OriginAnswer& answer) {
    refused_count += answer.status == 500;
    return answer.status == 500;
  };
  for (unsigned spare_count = 0; spare_count < 8; ++spare_count) {
    SCOPED_TRACE(spare_count);
    for (const std::string& key : keys)
      ASSERT_EQ(Ask("PUT", key, {}, {{"x-oss-storage-class", "IA"}}, "bytes").status, 200);
    const auto upload = Ask("POST", "u", {{"uploads", ""}});
    ASSERT_EQ(upload.status, 200);
    for (const Operation operation :
         {Operation::kListBuckets, Operation::kList, Operation::kStat, Operation::kListUploads,
          Operation::kHead, Operation::kDelete}) {
      const bool of_a_key = operation == Operation::kHead || operation == Operation::kDelete;
      for (const std::string& key : of_a_key ? keys : std::vector<std::string>{""}) {
        embedded::OriginService service(embedded::FilesBelow::Open(options_.root).value());
        embedded::OriginAnswer answer;
        {
          const NoDescriptors few(spare_count);
          answer = ask(service, operation, key);
        }
        if (is_refused(answer)) {
          // What failed once does not stay so.
          if (operation == Operation::kHead)
            answer = ask(service, operation, key);
          else
            continue;
        }
        switch (operation) {
          case Operation::kHead:
            EXPECT_EQ(answer.status, 200);
            EXPECT_THAT(answer.headers, Contains(Pair("x-oss-storage-class", "IA")));
            break;
          case Operation::kDelete:
            EXPECT_EQ(answer.status, 204);
            EXPECT_EQ(ask(service, Operation::kHead, key).status, 404);
            break;
          case Operation::kListBuckets:
            EXPECT_THAT(answer.body, HasSubstr("Name>bucket<"));
            break;
          case Operation::kList:
            EXPECT_THAT(answer.body, AllOf(HasSubstr("Key>/aside<"), HasSubstr("Key>d/k<")));
            break;
          case Operation::kListUploads:
            EXPECT_THAT(answer.body, HasSubstr("Key>u<"));
            break;
          default:
            EXPECT_THAT(answer.body,
                        AllOf(HasSubstr("ObjectCount>2<"), HasSubstr("MultipartUploadCount>1<")));
        }
      }
    }
    ASSERT_EQ(Ask("DELETE", "u", {{"uploadId", UploadId(upload)}}).status, 204);
    Start();  // it remembers which keys have no file
  }
  EXPECT_GT(refused_count, 10);
}

TEST_F(OriginServerTest, AnObjectReplacedWhileItIsReadIsReadWhole) {
  Start();
  ASSERT_EQ(Ask("PUT", "k", {}, {}, "old bytes").status, 200);
  auto files = embedded::FilesBelow::Open(InBucket(""));
  ASSERT_TRUE(files);
  embedded::Bucket bucket("bucket", *std::move(files));
  const auto reading = bucket.Find("k");
  ASSERT_TRUE(reading);
  ASSERT_EQ(Ask("PUT", "k", {}, {}, "newer").status, 200);
  std::string bytes(20, '\0');
  const ssize_t size = pread(reading->file.get(), bytes.data(), bytes.size(), 0);
  ASSERT_GE(size, 0);
  EXPECT_EQ(bytes.substr(0, static_cast<size_t>(size)), "old bytes");
  EXPECT_EQ(Ask("GET", "k").body, "newer");
}

TEST_F(OriginServerTest, APrefixThatNoKeyCanHaveIsRefusedByOss) {
  Start();
  EXPECT_EQ(Ask("GET", "", {{"prefix", std::string(1023, 'k')}}).status, 200);
  const HttpAnswer refused = Ask("GET", "", {{"prefix", std::string(1024, 'k')}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(Code(refused), "InvalidArgument");
  OriginHttpClient s3(server_->url(), keys_, clock_, SignatureScheme::kAwsV4);
  EXPECT_EQ(s3.Ask("GET", "bucket", "", {{"prefix", std::string(1024, 'k')}}).status, 200);
}

TEST_F(OriginServerTest, ArchivedObjectsAreListedAndNotRead) {
  Start();
  for (const char* name : {"Archive", "ColdArchive", "DeepColdArchive"}) {
    ASSERT_EQ(Ask("PUT", name, {}, {{"x-oss-storage-class", name}}, "x").status, 200);
    const HttpAnswer got = Ask("GET", name);
    EXPECT_EQ(got.status, 403);
    EXPECT_EQ(Code(got), "InvalidObjectState");
    EXPECT_EQ(Ask("HEAD", name).headers.at("x-oss-storage-class"), name);
  }
  EXPECT_EQ(Ask("GET", "IA").status, 404);
}

TEST_F(OriginServerTest, ACopyOfAMultipartUploadHasTheEtagOfItsBytesInS3) {
  Start();
  const std::string id = UploadId(Ask("POST", "k", {{"uploads", ""}}));
  ASSERT_EQ(Ask("PUT", "k", {{"partNumber", "1"}, {"uploadId", id}}, {}, "bytes").status, 200);
  const OriginHttpClient::Headers all = {{"x-oss-complete-all", "yes"}};
  const std::string etag = Ask("POST", "k", {{"uploadId", id}}, all).headers.at("etag");
  EXPECT_THAT(etag, testing::EndsWith("-1\""));
  EXPECT_EQ(Ask("PUT", "of-oss", {}, {{"x-oss-copy-source", "/bucket/k"}}).headers.at("etag"),
            etag);
  OriginHttpClient s3(server_->url(), keys_, clock_, SignatureScheme::kAwsV4);
  const std::string plain = '"' + embedded::Md5Hex("bytes") + '"';
  EXPECT_EQ(
      s3.Ask("PUT", "bucket", "of-s3", {}, {{"x-amz-copy-source", "/bucket/k"}}).headers.at("etag"),
      plain);
  EXPECT_EQ(s3.Ask("HEAD", "bucket", "of-s3").headers.at("etag"), plain);
  EXPECT_EQ(s3.Ask("HEAD", "bucket", "k").headers.at("etag"), '"' + embedded::BareEtag(etag) + '"');
}

TEST_F(OriginServerTest, OssTellsTheChecksumOfAnObjectHoweverItCame) {
  Start();
  const std::string digits = "123456789";
  const std::string crc64 = "11051210869376104954";  // of the digits
  const auto told = [](const HttpAnswer& answer) -> std::string {
    const auto found = answer.headers.find("x-oss-hash-crc64ecma");
    return found == answer.headers.end() ? "none" : found->second;
  };
  WriteOutside("outside", digits);
  EXPECT_EQ(told(Ask("PUT", "put", {}, {}, digits)), crc64);
  ASSERT_EQ(Ask("PUT", "copy", {}, {{"x-oss-copy-source", "/bucket/put"}}).status, 200);
  const std::string id = UploadId(Ask("POST", "parts", {{"uploads", ""}}));
  const OriginHttpClient::Query part = {{"partNumber", "1"}, {"uploadId", id}};
  EXPECT_EQ(told(Ask("PUT", "parts", part, {}, digits)), crc64);
  EXPECT_EQ(told(Ask("POST", "parts", {{"uploadId", id}}, {{"x-oss-complete-all", "yes"}})), crc64);
  for (int restart = 0; restart < 2; ++restart) {
    for (const char* key : {"outside", "put", "copy", "parts"}) {
      EXPECT_EQ(told(Ask("HEAD", key)), crc64) << key;
      EXPECT_EQ(told(Ask("GET", key, {}, {{"range", "bytes=0-2"}})), crc64) << key;
    }
    Start();  // it is kept
  }
  OriginHttpClient s3(server_->url(), keys_, clock_, SignatureScheme::kAwsV4);
  EXPECT_EQ(told(s3.Ask("GET", "bucket", "put")), "none");
}

TEST_F(OriginServerTest, ARequestLineMayNameTheHost) {
  Start();
  const auto port = static_cast<uint16_t>(std::stoi(server_->url().substr(17)));
  for (const std::string target : {"/bucket/k", "http://127.0.0.1/bucket/k",
                                   "http://127.0.0.1:80/bucket/k", "http://bucket.localhost/k"}) {
    RawHttpClient client(port);
    client.Send("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    EXPECT_EQ(client.Receive().status, 403) << target;  // it is not signed
  }
  RawHttpClient client(port);
  client.Send("GET http://127.0.0.1/__origin/stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  EXPECT_EQ(client.Receive().status, 200);
}

TEST(SplitTarget, TakesTheHostOfTheTargetOrOfTheHeader) {
  const auto split = [](std::string_view target) {
    const RequestTarget parts = SplitTarget(target, "h:1");
    return parts.authority + " " + parts.rest;
  };
  EXPECT_EQ(split("/a?b"), "h:1 /a?b");
  EXPECT_EQ(split("http://x:2/a?b=http://c"), "x:2 /a?b=http://c");
  EXPECT_EQ(split("http://x"), "x /");
  EXPECT_EQ(split("http://x?list-type=2"), "x /?list-type=2");
  EXPECT_EQ(split("/http://x/a"), "h:1 /http://x/a");
}

TEST_F(OriginServerTest, ScriptedFaultsHappenAndAreCounted) {
  Start();
  ASSERT_EQ(Ask("PUT", "k", {}, {}, "0123456789").status, 200);
  const auto arm = [&](const std::string& rule) {
    ASSERT_TRUE(
        server_->SetTrouble(R"({"faults": [{"count": 1, "match": {"op": "Get"}, )" + rule + "}]}"));
  };
  arm(R"("kind": "status503")");
  EXPECT_EQ(Ask("GET", "k").status, 503);
  EXPECT_EQ(Ask("GET", "k").status, 200);
  arm(R"("kind": "status429", "retry_after": 4)");
  EXPECT_EQ(Ask("GET", "k").headers.at("retry-after"), "4");
  arm(R"("kind": "status500")");
  EXPECT_EQ(Code(Ask("GET", "k")), "InternalError");
  arm(R"("kind": "cut_after_bytes", "bytes": 4)");
  const HttpAnswer cut = Ask("GET", "k");
  EXPECT_EQ(cut.curl_code, CURLE_PARTIAL_FILE);
  EXPECT_EQ(cut.body, "0123");
  arm(R"("kind": "wrong_bytes")");
  EXPECT_EQ(Ask("GET", "k", {}, {{"range", "bytes=2-4"}}).body, "224");
  arm(R"("kind": "wrong_etag")");
  const std::string etag = Ask("GET", "k").headers.at("etag");
  EXPECT_NE(etag, Ask("GET", "k").headers.at("etag"));
  arm(R"("kind": "wrong_content_range")");
  EXPECT_EQ(Ask("GET", "k", {}, {{"range", "bytes=2-4"}}).headers.at("content-range"),
            "bytes 3-5/10");
  // Twice, because libcurl asks again when a connection it kept turns out to be closed.
  arm(R"("kind": "reset", "count": 2)");
  EXPECT_NE(Ask("GET", "k").curl_code, CURLE_OK);
  ASSERT_TRUE(server_->SetTrouble(R"({"faults": [{"count": 1, "kind": "mangled_list"}]})"));
  pugi::xml_document document;
  EXPECT_FALSE(document.load_string(Ask("GET", "").body.c_str()));
  const auto stats = nlohmann::json::parse(server_->Statistics());
  EXPECT_EQ(stats["faults_injected"], 10);
}

TEST_F(OriginServerTest, AHungRequestEndsWithTheServer) {
  Start();
  ASSERT_TRUE(server_->SetTrouble(R"({"faults": [{"kind": "hang"}]})"));
  std::thread asking([&] {
    OriginHttpClient other(server_->url(), keys_, clock_);
    EXPECT_NE(other.Ask("GET", "bucket", "k").curl_code, CURLE_OK);
  });
  while (nlohmann::json::parse(server_->Statistics())["in_flight"] != 1) std::this_thread::yield();
  server_.reset();
  asking.join();
}

TEST_F(OriginServerTest, TheControlPathConfiguresCountsAndForgets) {
  Start();
  ASSERT_EQ(Ask("PUT", "k", {}, {}, "12345").status, 200);
  EXPECT_EQ(Ask("GET", "k").body, "12345");
  auto stats = nlohmann::json::parse(client_->AskRaw("GET", "/__origin/stats").body);
  EXPECT_EQ(stats["requests"]["Get"], 1);
  EXPECT_EQ(stats["bytes"]["Get"], 5);
  EXPECT_EQ(stats["bytes_received"], 5);
  EXPECT_EQ(client_->AskRaw("POST", "/__origin/config", {}, R"({"latency_ms": 1})").status, 200);
  EXPECT_EQ(client_->AskRaw("POST", "/__origin/config", {}, "{").status, 400);
  const auto config = nlohmann::json::parse(client_->AskRaw("GET", "/__origin/config").body);
  EXPECT_EQ(config["latency_ms"], 1);
  EXPECT_EQ(client_->AskRaw("POST", "/__origin/stats/reset").status, 200);
  stats = nlohmann::json::parse(server_->Statistics());
  EXPECT_EQ(stats["request_count"], 0);
}

TEST_F(OriginServerTest, ARateIsThatOfEachConnectionOrOfAllTogether) {
  const SystemClock clock;  // what waits for a rate does so by it
  const auto server = OriginServer::Start(options_, clock);
  ASSERT_TRUE(server) << server.error().detail;
  const auto client = [&] { return OriginHttpClient((*server)->url(), keys_, clock); };
  const std::string megabyte(1'000'000, 'x');
  ASSERT_EQ(client().Ask("PUT", "bucket", "k", {}, {}, megabyte).status, 200);
  // How long eight connections take for one object each, at 4 MB/s.
  const auto seconds = [&](const std::string& rate) {
    const std::string config = "{\"" + rate + "\": 4000000}";
    EXPECT_EQ(client().AskRaw("POST", "/__origin/config", {}, config).status, 200);
    const auto begun = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] { EXPECT_EQ(client().Ask("GET", "bucket", "k").body, megabyte); });
    for (std::thread& thread : threads) thread.join();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  const double each = seconds("bytes_per_second_per_connection");
  EXPECT_GT(each, 0.15) << "each takes a quarter of a second";
  const double together = seconds("bytes_per_second");
  EXPECT_GT(together, 1.5) << "all take two seconds";
  EXPECT_LT(each, together - 0.3);
}

TEST_F(OriginServerTest, WritersOfOneKeyLeaveOneOfTheirObjectsWhole) {
  Start();
  constexpr int kWriters = 6;
  constexpr int kRounds = 20;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i)
    threads.emplace_back([&, i] {
      OriginHttpClient client(server_->url(), keys_, clock_);
      const std::string body(1000 + static_cast<size_t>(i), static_cast<char>('a' + i));
      for (int round = 0; round < kRounds; ++round) {
        EXPECT_EQ(client.Ask("PUT", "bucket", "k", {}, {}, body).status, 200);
        const HttpAnswer got = client.Ask("GET", "bucket", "k");
        EXPECT_EQ(got.body, std::string(got.body.size(), got.body.empty() ? ' ' : got.body[0]));
        EXPECT_EQ(embedded::Md5Hex(got.body), embedded::BareEtag(got.headers.at("etag")));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(List({}, 10), ElementsAre("k"));
}

TEST_F(OriginServerTest, ItDoesNotStartWhereItCannotServe) {
  options_.root = folder_ / "absent";
  EXPECT_EQ(OriginServer::Start(options_, clock_).error().code, Errc::kNotFound);
  options_.root = folder_ / "root";
  options_.listen = "nowhere";
  EXPECT_EQ(OriginServer::Start(options_, clock_).error().code, Errc::kInvalid);
  options_.listen = "127.0.0.1:0";
  options_.buckets = {"Not_A_Bucket"};
  EXPECT_EQ(OriginServer::Start(options_, clock_).error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace shoal
