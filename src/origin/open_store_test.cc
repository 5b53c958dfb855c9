#include "origin/open_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "net/http_server.h"
#include "testing/scripted_http_server.h"
#include "testing/test_authority.h"

namespace shoal {
namespace {

class OpenStoreTest : public testing::Test {
 protected:
  OpenStoreTest() {
    std::string name = (std::filesystem::temp_directory_path() / "shoal-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    options_.bucket = "data";
    options_.endpoint = "http://127.0.0.1:9";
    options_.passwd_file = directory_ / "passwd";
    std::ofstream(options_.passwd_file) << "ak:sk\n";
    chmod(options_.passwd_file.c_str(), 0600);
  }
  ~OpenStoreTest() override { std::filesystem::remove_all(directory_); }

  Result<std::unique_ptr<ObjectStore>> Open(const StoreMeans& means = {}) {
    ASSIGN_OR_RETURN(auto credentials, OpenCredentials(options_, clock_));
    return OpenStore(options_, std::move(credentials), clock_, means);
  }
  Error Refusal() {
    const auto store = Open();
    return store ? Error{Errc::kInvalid, "was accepted"} : store.error();
  }

  SystemClock clock_;
  std::filesystem::path directory_;
  OriginOptions options_;
};

TEST_F(OpenStoreTest, OpensAStoreThatTriesAgain) {
  int count = 0;
  ScriptedHttpServer server([&](const auto&) {
    return ++count == 1 ? Answer("500 Oh", "", "")
                        : Answer("200 OK", "",
                                 "<BucketStat><Storage>1</Storage><ObjectCount>2</ObjectCount>"
                                 "</BucketStat>");
  });
  options_.endpoint = server.origin();
  const auto store = Open().value();
  EXPECT_EQ(store->Usage({}).value().object_count, 2u);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(OpenStoreTest, AskedToStopItEndsTheCallThatIsUnderWayAndMakesNoOther) {
  std::stop_source stop;
  // The first never gets an answer; the wait before a second attempt would be long.
  for (const auto& reply : {ScriptedReply{.then = ScriptedReply::Then::kHang},
                            Answer("503 Slow Down", "Retry-After: 20\r\n", "")}) {
    ScriptedHttpServer server([&](const auto&) {
      stop.request_stop();
      return reply;
    });
    options_.endpoint = server.origin();
    const auto store = Open({.stop = stop.get_token()}).value();
    const Instant begun = clock_.Now();
    EXPECT_FALSE(store->Usage(Deadline::After(clock_, std::chrono::seconds(25))));
    EXPECT_EQ(store->Usage({}).error().code, Errc::kInterrupted);
    EXPECT_LT(clock_.Now() - begun, std::chrono::seconds(15));
    EXPECT_EQ(server.requests().size(), 1u);
    stop = {};
  }
}

TEST_F(OpenStoreTest, ALongerDeadlineIsALongerWaitForEachAttempt) {
  for (const auto& [deadline_seconds, stall_seconds] :
       {std::pair{1, 10}, {30, 10}, {120, 40}, {10'000, 3'333}}) {
    options_.request_deadline_seconds = static_cast<uint64_t>(deadline_seconds);
    EXPECT_EQ(ConnectionOptionsOf(options_).stall_timeout, std::chrono::seconds(stall_seconds))
        << deadline_seconds;
  }
}

TEST_F(OpenStoreTest, ACertificateThatDoesNotVerifyIsNotTriedAgain) {
  TestAuthority authority;
  const auto issued = authority.Issue("IP:127.0.0.1", /*expires_in_seconds=*/-60);
  HttpServerOptions serving;
  serving.certificate_file = issued.certificate_file;
  serving.key_file = issued.key_file;
  const auto server = HttpServer::Start(
                          serving, [](const HttpCall&) { return HttpAnswer{}; }, clock_)
                          .value();
  options_.endpoint = "https://127.0.0.1:" + std::to_string(server->port());
  options_.ca_file = authority.file();
  const auto store = Open().value();
  const auto refused = store->Head("key", Deadline::After(clock_, std::chrono::seconds(20)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnusable);
  // Who gives up after more than one attempt says so at the end.
  EXPECT_EQ(refused.error().detail, "HeadObject 'key': " + options_.endpoint +
                                        ": SSL certificate problem: certificate has expired");
}

TEST_F(OpenStoreTest, RefusesOptionsThatMakeNoSenseTogether) {
  const OriginOptions good = options_;
  options_.protocol = "ftp";
  EXPECT_EQ(Refusal(), (Error{Errc::kInvalid, "protocol 'ftp' is not oss or s3"}));
  options_ = good;
  options_.signature_version = "v2";
  EXPECT_EQ(Refusal(), (Error{Errc::kInvalid, "signature_version 'v2' is not v4 or v1"}));
  options_ = good;
  options_.protocol = "s3";
  options_.signature_version = "v1";
  EXPECT_EQ(Refusal(), (Error{Errc::kInvalid, "signature_version v1 is for protocol=oss"}));
  options_ = good;
  options_.sts_file = "/x";
  EXPECT_EQ(Refusal(), (Error{Errc::kInvalid, "give one of passwd_file and g_oss_STSFile"}));
  options_ = good;
  options_.passwd_file.clear();
  EXPECT_EQ(Refusal(), (Error{Errc::kInvalid, "give one of passwd_file and g_oss_STSFile"}));
  options_ = good;
  options_.connection_count_max = 0;
  EXPECT_EQ(Refusal(), (Error{Errc::kInvalid, "max_connections: not from 1 to 10000"}));
  options_ = good;
  options_.passwd_file = directory_ / "none";
  EXPECT_EQ(Refusal(), (Error{Errc::kDenied, "credential file " + options_.passwd_file +
                                                 ": No such file or directory"}));
}

}  // namespace
}  // namespace shoal
