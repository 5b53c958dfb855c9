#include "control/admin_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "testing/adjustable_clock.h"
#include "testing/memory_node_report.h"
#include "testing/memory_warmup_tasks.h"
#include "testing/raw_http_client.h"
#include "testing/temporary_directory.h"

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

class AdminServerTest : public testing::Test {
 protected:
  Result<std::unique_ptr<AdminServer>> Open() {
    return AdminServer::Start(options_, {.warmup = tasks_,
                                         .report = report_,
                                         .clear_directory_cache = [] {},
                                         .clear_metadata_cache = [] {},
                                         .describe_path = [](auto, auto) { return PathFacts{}; },
                                         .change_options = [](const auto&) { return Result<>(); },
                                         .clock = clock_});
  }
  void Start() {
    auto started = Open();
    ASSERT_TRUE(started) << started.error().detail;
    server_ = *std::move(started);
  }
  RawHttpClient Connect() { return RawHttpClient(server_->port()); }

  AdjustableClock clock_;
  MemoryWarmupTasks tasks_{clock_};
  MemoryNodeReport report_;
  AdminOptions options_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, AnswersAtItsAddress) {
  Start();
  EXPECT_EQ(server_->url(), "http://127.0.0.1:" + std::to_string(server_->port()));
  const auto answer = Connect().Get("/v1/warmup/load?target_path=a");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(Json::parse(answer.body)["Results"][0]["Location"],
            "127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_NE(answer.head.find("Content-Type: application/json\r\n"), std::string::npos);
}

TEST_F(AdminServerTest, WhateverIsSentItAnswersWithJsonAndGoesOn) {
  Start();
  const std::string paths = [] {
    std::string list = "0";
    for (int i = 1; i < 10'000; ++i) list += ",directory/with/a/longer/name/" + std::to_string(i);
    return list;
  }();
  const std::string load = "/v1/warmup/load?target_path=";
  const std::vector<std::pair<std::string, int>> calls = {
      {load + "/etc/passwd", 200},  // an error of that path
      {load + "..", 200},
      {load + "a%00b", 200},
      {load, 200},
      {load + std::string(100 << 10, 'a'), 200},
      {load + paths, 200},
      {load + "a&pattern=(", 200},
      {load + std::string(520 << 10, 'a'), 431},
      {load + "%zz", 400},
      {load + "a&target_path=b", 400},
      {"/v1/warmup/load", 400},
      {"/v1/warmup/stat?target_path=never", 200},
      {"/v1/warmup/cancel?target_path=never", 200},
      {"/v1/nothing", 404},
  };
  for (const auto& [target, status] : calls) {
    const auto answer = Connect().Get(target);
    EXPECT_EQ(answer.status, status) << target.substr(0, 80);
    const Json json = Json::parse(answer.body, nullptr, false);
    ASSERT_TRUE(json.is_object()) << target.substr(0, 80);
    EXPECT_TRUE(json["ErrorCode"].is_number());
    EXPECT_TRUE(json["ErrorMessage"].is_string());
    EXPECT_TRUE(json["Results"].is_array());
    EXPECT_EQ(json["ErrorCode"] == 0, status == 200);
  }
  for (const std::string bytes : {"DELETE /v1/tier HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                  "GET /v1/tier HTTP/1.1\r\nHost: evil.example\r\n\r\n",
                                  "no HTTP at all\r\n\r\n", "GET /v1/tier HTTP/1.1\r\n\r\n"}) {
    const auto answer = Connect().Exchange(bytes);
    EXPECT_GE(answer.status, 400) << bytes;
    EXPECT_NE(Json::parse(answer.body)["ErrorCode"], 0);
  }
  EXPECT_EQ(Connect().Get("/healthz").body, "ok\n");
}

TEST_F(AdminServerTest, CallsTogetherHoldNoMoreThanWasPlannedFor) {
  options_.held_bytes_max = 256 << 10;
  Start();
  const std::string load = "/v1/warmup/load?target_path=";
  EXPECT_EQ(Connect().Get(load + std::string(400 << 10, 'a')).status, 503);
  EXPECT_EQ(Connect().Get(load + std::string(100 << 10, 'a')).status, 200);
}

TEST_F(AdminServerTest, ThePortInUseIsSaidSo) {
  Start();
  options_.port = server_->port();
  EXPECT_EQ(Open().error(),
            (Error{Errc::kBusy, "g_server_Port: 127.0.0.1:" + std::to_string(server_->port()) +
                                    ": Address already in use; another mount or program has it: "
                                    "give this one another port"}));
}

TEST_F(AdminServerTest, TheTokenOfTheFileIsDemandedAndFollowsTheFile) {
  const TemporaryDirectory directory;
  options_.token_file = directory.path() / "token";
  const auto write = [&](const std::string& token) {
    const std::string file = options_.token_file + ".new";
    FILE* const out = fopen(file.c_str(), "w");
    fputs(token.c_str(), out);
    fclose(out);
    ASSERT_EQ(chmod(file.c_str(), 0600), 0);
    ASSERT_EQ(rename(file.c_str(), options_.token_file.c_str()), 0);
  };
  EXPECT_EQ(Open().error().code, Errc::kInvalid);
  write("the-first-token-is-long");
  Start();
  const auto status = [&](const std::string& token) {
    return Connect()
        .Exchange("GET /v1/tier HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token +
                  "\r\n\r\n")
        .status;
  };
  EXPECT_EQ(status("the-first-token-is-long"), 200);
  EXPECT_EQ(status("the-second-token-is-long"), 401);
  write("the-second-token-is-long");
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(status("the-first-token-is-long"), 401);
  EXPECT_EQ(status("the-second-token-is-long"), 200);
}

TEST_F(AdminServerTest, ItIsNotOpenToOtherMachinesWithoutATokenOrCertificates) {
  options_.address = "0.0.0.0";
  EXPECT_EQ(Open().error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace shoal
