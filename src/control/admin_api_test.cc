#include "control/admin_api.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "control/admin_json.h"
#include "control/page_files.h"
#include "testing/fake_clock.h"
#include "testing/memory_node_report.h"
#include "testing/memory_warmup_tasks.h"

namespace shoal {
namespace {

class AdminApiTest : public testing::Test {
 protected:
  HttpAnswer Send(HttpCall call) {
    call.headers.try_emplace("host", "localhost:17871");
    call.local_address = "127.0.0.1:17871";
    return api_.Answer(call, rules_);
  }
  HttpAnswer Get(std::string target) {
    return Send({.method = "GET", .target = std::move(target)});
  }
  AdminJson GetJson(std::string target) { return AdminJson::parse(Get(std::move(target)).body); }

  FakeClock clock_;
  MemoryWarmupTasks tasks_{clock_};
  MemoryNodeReport report_;
  std::vector<std::string> cleared_;
  AdminAccessRules rules_{.machine_name = "node7"};
  std::function<Result<PathFacts>(std::string_view, Deadline)> describe_ =
      [](std::string_view, Deadline) { return PathFacts{}; };
  using Options = std::map<std::string, std::string, std::less<>>;
  std::function<Result<>(const Options&)> change_ = [](const Options&) { return Result<>(); };
  AdminApi api_{
      {.warmup = tasks_,
       .report = report_,
       .clear_directory_cache = [this] { cleared_.emplace_back("directories"); },
       .clear_metadata_cache = [this] { cleared_.emplace_back("metadata"); },
       .describe_path = [this](auto path, auto deadline) { return describe_(path, deadline); },
       .change_options = [this](const auto& options) { return change_(options); },
       .clock = clock_}};
};

// The samples of the specification, byte for byte after parsing both; ordered_json compares
// the order of the members too.
TEST_F(AdminApiTest, LoadAnswersAsTheSpecificationsSample) {
  const HttpAnswer answer = Get("/v1/warmup/load?target_path=file100G");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(AdminJson::parse(answer.body).dump(), AdminJson::parse(R"({
    "ErrorCode": 0,
    "ErrorMessage": "Request processed",
    "Results": [{
      "ErrorCode": 0,
      "ErrorMessage": "The warm up (file100G) is processing in the background. Use the 'stat' command to get status.",
      "Location": "127.0.0.1:17871",
      "Path": "file100G"
    }]
  })")
                                                      .dump());
}

TEST_F(AdminApiTest, StatAnswersAsTheSpecificationsSample) {
  WarmupTask task;
  task.path = "file100G";
  task.completed_bytes = 13898874880;
  task.total_bytes = 107374182400;
  task.submitted_unix_micros = 1765274023424073;
  tasks_.Add(task);
  const HttpAnswer answer = Get("/v1/warmup/stat?target_path=file100G");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(AdminJson::parse(answer.body).dump(), AdminJson::parse(R"({
    "ErrorCode": 0,
    "ErrorMessage": "Request processed",
    "Results": [{
      "ErrorCode": 0,
      "ErrorMessage": "Successfully stat the warm up",
      "Location": "127.0.0.1:17871",
      "Path": "file100G",
      "TaskInfos": [{
        "CompletedSize": 13898874880,
        "ErrorCode": 0,
        "ErrorMessage": "",
        "IsDir": false,
        "Path": "file100G",
        "Pattern": "",
        "Status": "running",
        "SubmitTime": 1765274023424073,
        "TotalSize": 107374182400
      }]
    }]
  })")
                                                      .dump());
}

TEST_F(AdminApiTest, CancelAnswersInTheSameShapeAndStops) {
  Get("/v1/warmup/load?target_path=file100G");
  EXPECT_EQ(GetJson("/v1/warmup/cancel?target_path=file100G").dump(), AdminJson::parse(R"({
    "ErrorCode": 0,
    "ErrorMessage": "Request processed",
    "Results": [{
      "ErrorCode": 0,
      "ErrorMessage": "Successfully cancel the warm up",
      "Location": "127.0.0.1:17871",
      "Path": "file100G"
    }]
  })")
                                                                          .dump());
  EXPECT_EQ(GetJson("/v1/warmup/stat?target_path=file100G")["Results"][0]["TaskInfos"][0]["Status"],
            "canceled");
  const AdminJson again = GetJson("/v1/warmup/cancel?target_path=file100G,other");
  EXPECT_EQ(again["ErrorCode"], 0);
  EXPECT_EQ(again["Results"][0]["ErrorCode"], EINVAL);
  EXPECT_EQ(again["Results"][0]["ErrorMessage"], "the warm up has ended");
  EXPECT_EQ(again["Results"][1]["ErrorCode"], ENOENT);
}

TEST_F(AdminApiTest, EachPathOfAListHasAResultAndErrorsAreThatPathsOwn) {
  const AdminJson answer =
      GetJson("/v1/warmup/load?target_path=a,b%5C,c,,/abs,a,dir%2Fx,&pattern=.*_2%24");
  EXPECT_EQ(answer["ErrorCode"], 0);
  std::vector<std::pair<std::string, int>> results;
  for (const AdminJson& result : answer["Results"])
    results.emplace_back(result["Path"], result["ErrorCode"]);
  EXPECT_EQ(results, (std::vector<std::pair<std::string, int>>{
                         {"a", 0}, {"b,c", 0}, {"/abs", EINVAL}, {"dir/x", 0}}));
  EXPECT_EQ(answer["Results"][2]["ErrorMessage"], "not a relative path: '/abs'");
  EXPECT_EQ(tasks_.Newest(1).front().pattern, ".*_2$");
}

TEST_F(AdminApiTest, AnEmptyPathIsTheRoot) {
  EXPECT_EQ(
      GetJson("/v1/warmup/load?target_path=")["Results"][0]["ErrorMessage"],
      "The warm up (/) is processing in the background. Use the 'stat' command to get status.");
  EXPECT_EQ(tasks_.Newest(1).front().path, "");
  EXPECT_EQ(GetJson("/v1/warmup/stat?target_path=")["Results"][0]["Path"], "");
}

TEST_F(AdminApiTest, StatShowsTheTasksOfTheTimeThatWasAskedFor) {
  Get("/v1/warmup/load?target_path=a");
  clock_.Advance(std::chrono::hours(25));
  const AdminJson none = GetJson("/v1/warmup/stat?target_path=a");
  EXPECT_EQ(none["Results"][0]["ErrorCode"], ENOENT);
  EXPECT_EQ(none["Results"][0]["ErrorMessage"],
            "There is no warm up (a) of the last 86400 seconds. Use the 'load' command to begin "
            "one, or ask with a longer preceding_time.");
  EXPECT_EQ(none["Results"][0]["TaskInfos"], AdminJson::array());
  Get("/v1/warmup/load?target_path=a");
  EXPECT_EQ(GetJson("/v1/warmup/stat?target_path=a")["Results"][0]["TaskInfos"].size(), 1U);
  EXPECT_EQ(GetJson("/v1/warmup/stat?target_path=a&preceding_time=90001")["Results"][0]["TaskInfos"]
                .size(),
            2U);
  EXPECT_EQ(Get("/v1/warmup/stat?target_path=a&preceding_time=18446744073709551615").status, 200);
}

TEST_F(AdminApiTest, StatOfAPathThatNoFileCanHaveSaysWhatIsWrongWithIt) {
  const AdminJson results =
      GetJson("/v1/warmup/stat?target_path=/etc/passwd,..,a%00b,b")["Results"];
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[0]["ErrorMessage"],
            "'/etc/passwd' is an absolute path; give one below the mount point, without a slash at "
            "its beginning ('' for the root)");
  EXPECT_EQ(results[1]["ErrorMessage"],
            "'..' is no path of a file: '..' cannot be one of its parts");
  EXPECT_EQ(results[2]["ErrorMessage"],
            "'a\\x00b' is no path of a file: 'a\\x00b' cannot be one of its parts");
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(results[i]["ErrorCode"], EINVAL);
    EXPECT_EQ(results[i]["TaskInfos"], AdminJson::array());
  }
  EXPECT_EQ(results[3]["ErrorCode"], ENOENT);
}

TEST_F(AdminApiTest, StatShowsThoseOfAPatternAndAllWithoutOne) {
  Get("/v1/warmup/load?target_path=a&pattern=x");
  Get("/v1/warmup/load?target_path=a&pattern=y");
  const auto count = [&](const std::string& more) {
    return GetJson("/v1/warmup/stat?target_path=a" + more)["Results"][0]["TaskInfos"].size();
  };
  EXPECT_EQ(count("&pattern=x"), 1U);
  EXPECT_EQ(count("&pattern="), 2U);
  EXPECT_EQ(count(""), 2U);
}

TEST_F(AdminApiTest, TenThousandPathsAreOneRequestAndMoreAreRefused) {
  std::string target = "/v1/warmup/load?target_path=0";
  for (int i = 1; i < 10'000; ++i) target += "," + std::to_string(i);
  EXPECT_EQ(GetJson(target)["Results"].size(), 10'000U);
  const HttpAnswer refused = Get(target + ",more");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(AdminJson::parse(refused.body)["ErrorMessage"],
            "10001 paths; at most 10000 in a request");
}

TEST_F(AdminApiTest, APostIsTheSameAsAGetWithItsFormAsParameters) {
  const HttpAnswer answer =
      Send({.method = "POST",
            .target = "/v1/warmup/load",
            .headers = {{"content-type", "application/x-www-form-urlencoded"}},
            .body = "target_path=a,b"});
  EXPECT_EQ(AdminJson::parse(answer.body)["Results"].size(), 2U);
}

TEST_F(AdminApiTest, BadRequestsAre400WithAReason) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/v1/warmup/load",
       "target_path is missing: relative paths below the mount point, with "
       "commas between them; empty for the root"},
      {"/v1/warmup/load?target_path=,,", "target_path has commas and no path"},
      {"/v1/warmup/load?target_path=a&target_path=b",
       "target_path: given twice; several paths go into one target_path, with commas between them"},
      {"/v1/warmup/stat?target_path=%",
       "a % without two hexadecimal digits behind it; a percent sign is %25"},
      {"/v1/warmup/stat?target_path=a&preceding_time=1d",
       "preceding_time: not a whole number of seconds: '1d'"},
      {"/v1/warmup/stat?target_path=a&preceding_time=99999999999999999999999s",
       "preceding_time: not a whole number of seconds: '99999999999999999999999s'"},
      {"/v1/warmup/stat?target_path=a&preceding_time=-1",
       "preceding_time: not a whole number of seconds: '-1'"},
      {"/v1/warmup/load?path=a",
       "'path' is no parameter of /v1/warmup/load; there are "
       "target_path, pattern, preceding_time"},
      {"/v1/tier?x=1", "'x' is no parameter of /v1/tier, which has none"},
      {"/v1/warmup/list?count=10001", "count: not a number from 0 to 10000"},
      {"/v1/warmup/running?count=x", "count: not a number from 0 to 10000"},
      {"/v1/stat", "target_path is missing: one path below the mount point; empty for the root"},
  };
  for (const auto& [target, reason] : cases) {
    const HttpAnswer answer = Get(target);
    EXPECT_EQ(answer.status, 400) << target;
    EXPECT_EQ(
        AdminJson::parse(answer.body).dump(),
        AdminJson({{"ErrorCode", 22}, {"ErrorMessage", reason}, {"Results", AdminJson::array()}})
            .dump());
  }
}

TEST_F(AdminApiTest, UnknownPathsAre404AndNameThoseThereAre) {
  for (const char* target :
       {"/v1", "/v1/", "/v1/warmup", "/v2/tier", "/page.html", "/..", "/v1/tier/", "//", "/V1/tier",
        "/%2e%2e/etc/passwd", "/v1/warmup/load/"}) {
    const HttpAnswer answer = Get(target);
    EXPECT_EQ(answer.status, 404) << target;
    const AdminJson json = AdminJson::parse(answer.body);
    EXPECT_EQ(json["ErrorCode"], ENOENT);
    EXPECT_NE(json["ErrorMessage"].get<std::string>().find("/v1/warmup/load"), std::string::npos);
  }
}

TEST_F(AdminApiTest, OtherMethodsAre405AndDoNothing) {
  for (const char* method : {"PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "TRACE"}) {
    const HttpAnswer answer = Send({.method = method, .target = "/v1/tier/clear"});
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_NE(std::ranges::find(answer.headers,
                                std::pair<std::string, std::string>{"Allow", "GET, POST"}),
              answer.headers.end());
    EXPECT_EQ(AdminJson::parse(answer.body)["ErrorCode"], EOPNOTSUPP);
  }
}

TEST_F(AdminApiTest, WhatTellsCanBeAskedByHeadAsProbesDo) {
  for (const char* target : {"/healthz", "/readyz", "/metrics", "/v1/status", "/"})
    EXPECT_EQ(Send({.method = "HEAD", .target = target}).status, Get(target).status) << target;
  const HttpAnswer refused = Send({.method = "PUT", .target = "/v1/tier"});
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(AdminJson::parse(refused.body)["ErrorMessage"], "HEAD, GET, POST, not PUT");
}

TEST_F(AdminApiTest, TierAnswersTheTenCountersAndClearsThem) {
  report_.SetTier({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const std::string shape = R"({"ErrorCode":0,"ErrorMessage":"Request processed","tier_read":1,)"
                            R"("tier_read_bytes":2,"tier_read_hit":3,"tier_read_hit_bytes":4,)"
                            R"("tier_read_miss":5,"tier_read_miss_bytes":6,"tier_direct_read":7,)"
                            R"("tier_direct_read_bytes":8,"tier_root_read_source":9,)"
                            R"("tier_root_read_source_bytes":10})";
  EXPECT_EQ(Get("/v1/tier").body, shape + "\n");
  EXPECT_EQ(Get("/v1/tier/clear").body,
            "{\"ErrorCode\":0,\"ErrorMessage\":\"Successfully clear the tier counters\"}\n");
  EXPECT_EQ(GetJson("/v1/tier")["tier_read_bytes"], 0);
}

TEST_F(AdminApiTest, ActionsClearTheCacheThatTheyName) {
  EXPECT_EQ(Get("/v1/action/clear_readdir_cache").body,
            "{\"ErrorCode\":0,\"ErrorMessage\":\"Successfully clear the readdir cache\"}\n");
  EXPECT_EQ(Get("/v1/action/clear_metadata_cache").body,
            "{\"ErrorCode\":0,\"ErrorMessage\":\"Successfully clear the metadata cache\"}\n");
  EXPECT_EQ(cleared_, (std::vector<std::string>{"directories", "metadata"}));
}

TEST_F(AdminApiTest, WhatChangesIsNotDoneForAPageOfAnotherOrigin) {
  for (const char* target :
       {"/v1/warmup/load?target_path=a", "/v1/warmup/cancel?target_path=a", "/v1/tier/clear",
        "/v1/action/clear_readdir_cache", "/v1/action/clear_metadata_cache"}) {
    const HttpAnswer answer =
        Send({.method = "GET", .target = target, .headers = {{"sec-fetch-site", "cross-site"}}});
    EXPECT_EQ(answer.status, 403) << target;
    EXPECT_EQ(AdminJson::parse(answer.body)["ErrorCode"], EACCES);
  }
  EXPECT_EQ(cleared_, std::vector<std::string>{});
  EXPECT_EQ(tasks_.Newest(10).size(), 0U);
}

TEST_F(AdminApiTest, WithATokenOnlyThePageAndHealthAreOpen) {
  rules_.token = "0123456789abcdef";
  for (const char* open : {"/", "/page.js", "/page.css", "/healthz"})
    EXPECT_EQ(Get(open).status, 200) << open;
  for (const char* closed : {"/v1/status", "/v1/tier", "/v1/warmup/list", "/metrics", "/readyz",
                             "/v1/stat?target_path=a", "/no/such/path"}) {
    const HttpAnswer answer = Get(closed);
    EXPECT_EQ(answer.status, 401) << closed;
    EXPECT_NE(std::ranges::find(answer.headers,
                                std::pair<std::string, std::string>{"WWW-Authenticate", "Bearer"}),
              answer.headers.end());
  }
  EXPECT_EQ(Send({.method = "GET",
                  .target = "/v1/tier",
                  .headers = {{"authorization", "Bearer 0123456789abcdef"}}})
                .status,
            200);
}

TEST_F(AdminApiTest, OptionsChangeByAFormOrByJson) {
  Options given;
  change_ = [&](const Options& options) -> Result<> {
    given = options;
    return {};
  };
  const auto post = [&](const std::string& type, const std::string& body) {
    return Send({.method = "POST",
                 .target = "/v1/options",
                 .headers = {{"content-type", type}},
                 .body = body});
  };
  const Options wanted{{"log_level", "debug"}, {"read_memory_mb", "64"}};
  EXPECT_EQ(post("application/x-www-form-urlencoded", "log_level=debug&read_memory_mb=64").status,
            200);
  EXPECT_EQ(given, wanted);
  given.clear();
  EXPECT_EQ(post("APPLICATION/json", R"({"log_level":"debug","read_memory_mb":64})").status, 200);
  EXPECT_EQ(given, wanted);
  for (const char* wrong : {"", "[]", "{}", "{", R"({"log_level":[]})"})
    EXPECT_EQ(post("application/json", wrong).status, 400) << wrong;
  EXPECT_EQ(Get("/v1/options?log_level=debug").status, 405);
  change_ = [](const Options&) { return Fail(Errc::kUnsupported, "max_connections: not so"); };
  EXPECT_EQ(post("application/json", R"({"max_connections":2})").status, 409);
}

TEST_F(AdminApiTest, FilesOfCredentialsAreChangedOnlyByWhoHadToShowSomething) {
  const HttpCall call{.method = "POST",
                      .target = "/v1/options",
                      .headers = {{"content-type", "application/json"}},
                      .body = R"({"passwd_file":"/etc/shadow"})"};
  EXPECT_EQ(Send(call).status, 403);
  // Nor within a name that would be cut at its '='.
  HttpCall disguised = call;
  disguised.body = R"({"passwd_file=/etc/shadow":""})";
  EXPECT_EQ(Send(disguised).status, 400);
  rules_.clients_are_certified = true;
  EXPECT_EQ(Send(call).status, 200);
}

TEST_F(AdminApiTest, ReadinessSaysWhyNot) {
  EXPECT_EQ(Get("/readyz").body, "ready\n");
  report_.SetReady({.ready = false, .reason = "the store refused the credentials"});
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(Get("/readyz").body, "the store refused the credentials\n");
  EXPECT_EQ(Get("/healthz").body, "ok\n");
}

TEST_F(AdminApiTest, HealthIsTheProcesssAndNotTheStores) {
  report_.SetReady({.ready = false, .reason = "the store refused the credentials"});
  EXPECT_EQ(Get("/healthz").status, 200);
  report_.SetStuck("a thread has been in one request for 11 s");
  EXPECT_EQ(Get("/healthz").status, 503);
  EXPECT_EQ(Get("/healthz").body, "a thread has been in one request for 11 s\n");
  report_.SetStuck(std::nullopt);
  EXPECT_EQ(Get("/healthz").body, "ok\n");
}

TEST_F(AdminApiTest, ANodeInTroubleFindsOutByItselfWhenThatIsOver) {
  int trial_count = 0;
  bool is_well = false;
  describe_ = [&](std::string_view, Deadline deadline) -> Result<PathFacts> {
    ++trial_count;
    EXPECT_LE(deadline.Remaining(clock_), std::chrono::seconds(2));
    if (is_well) report_.SetReady({.ready = true, .reason = {}});
    return Fail(Errc::kNotFound, "nothing has the path");
  };
  EXPECT_EQ(Get("/readyz").status, 200);
  EXPECT_EQ(trial_count, 0);
  report_.SetReady({.ready = false, .reason = "no route"});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(trial_count, 1);
  is_well = true;
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_EQ(Get("/readyz").status, 200);
  EXPECT_EQ(trial_count, 2);
}

TEST_F(AdminApiTest, ANodeThatNobodyUsesFindsOutByItselfThatTheStoreIsGone) {
  int trial_count = 0;
  describe_ = [&](std::string_view, Deadline) -> Result<PathFacts> {
    if (++trial_count > 1) report_.SetReady({.ready = false, .reason = "no route"});
    return Fail(Errc::kUnreachable, "no route");
  };
  report_.SetSilent(true);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Get("/readyz").status, 200);
  EXPECT_EQ(trial_count, 1) << "the last outcome counts for some seconds";
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(trial_count, 2);
}

TEST_F(AdminApiTest, MetricsAndStatusOfANodeThatNobodyUsesAreOfTheStoreAsItIsNow) {
  for (const char* target : {"/metrics", "/v1/status"}) {
    int trial_count = 0;
    bool is_well = false;
    describe_ = [&](std::string_view, Deadline) -> Result<PathFacts> {
      ++trial_count;
      report_.SetReady({.ready = is_well, .reason = "no route"});
      return Fail(Errc::kNotFound, "nothing has the path");
    };
    report_.SetSilent(true);
    Get(target);
    EXPECT_EQ(Get("/metrics").body, "shoal_ready 0\n") << target;
    EXPECT_EQ(trial_count, 1) << target;
    is_well = true;
    clock_.Advance(std::chrono::seconds(5));
    Get(target);
    EXPECT_EQ(Get("/metrics").body, "shoal_ready 1\n") << target;
    report_.SetSilent(false);
    clock_.Advance(std::chrono::seconds(5));
    Get(target);
    EXPECT_EQ(trial_count, 2) << "a store that is heard of is asked nothing more: " << target;
  }
}

TEST_F(AdminApiTest, ReadinessOfAPathIsThatAllOfItIsCached) {
  tasks_.SetCoverage("model", {100, 60, 4, 3});
  EXPECT_EQ(Get("/readyz?warm=model").status, 503);
  EXPECT_EQ(Get("/readyz?warm=model").body,
            "model: 3 of 4 objects and 60 of 100 bytes are cached\n");
  tasks_.SetCoverage("model", {100, 100, 4, 4});
  EXPECT_EQ(Get("/readyz?warm=model").status, 200);
  EXPECT_EQ(Get("/readyz?warm=other").status, 503);
  EXPECT_EQ(Get("/readyz?warm=other").body, "nothing has the path 'other'\n");
}

TEST_F(AdminApiTest, CallsThatWaitForTheStoreLeaveThreadsToTheOthers) {
  std::promise<void> go_on;
  const std::shared_future<void> may_go_on(go_on.get_future());
  std::atomic<int> waiting_count = 0;
  std::promise<void> both_wait;
  describe_ = [&](std::string_view, Deadline) -> Result<PathFacts> {
    if (++waiting_count == 2) both_wait.set_value();
    may_go_on.wait();
    return PathFacts{};
  };
  std::thread first([&] { Get("/v1/stat?target_path=a"); });
  std::thread second([&] { Get("/v1/stat?target_path=b"); });
  both_wait.get_future().wait();
  EXPECT_EQ(Get("/v1/stat?target_path=c").status, 503);
  EXPECT_EQ(Get("/readyz?warm=c").status, 503);
  EXPECT_EQ(Get("/readyz").status, 200);
  go_on.set_value();
  first.join();
  second.join();
  EXPECT_EQ(Get("/v1/stat?target_path=c").status, 200);
}

TEST_F(AdminApiTest, StatTellsWhatTheCacheHasOfAPath) {
  describe_ = [](std::string_view path, Deadline) -> Result<PathFacts> {
    if (path == "gone") return Fail(Errc::kNotFound, "nothing has the path 'gone'");
    return PathFacts{.is_directory = false,
                     .coverage = {100, 50, 1, 0},
                     .key = "prefix/a",
                     .etag = "\"E\"",
                     .storage_class = "Standard",
                     .served = "from the store",
                     .last_request = path == "a" ? std::nullopt
                                                 : std::optional(LastRequest{"GetObject", "7F", 503,
                                                                             "too busy", 5})};
  };
  EXPECT_EQ(Get("/v1/stat?target_path=a").body,
            R"({"ErrorCode":0,"ErrorMessage":"Request processed","Path":"a","IsDir":false,)"
            R"("TotalSize":100,"CachedSize":50,"ObjectCount":1,"CachedObjectCount":0,)"
            R"("Key":"prefix/a","ETag":"\"E\"","StorageClass":"Standard",)"
            R"("Served":"from the store","LastRequest":null})"
            "\n");
  EXPECT_EQ(AdminJson::parse(Get("/v1/stat?target_path=b").body)["LastRequest"].dump(),
            R"({"Operation":"GetObject","Id":"7F","Status":503,"Failure":"too busy","EndTime":5})");
  EXPECT_EQ(Get("/v1/stat?target_path=gone").status, 404);
  EXPECT_EQ(Get("/v1/stat?target_path=gone").body,
            "{\"ErrorCode\":2,\"ErrorMessage\":\"nothing has the path 'gone'\"}\n");
}

TEST_F(AdminApiTest, ListsTasksWithTheirObjectsRunningOnesFirst) {
  WarmupTask ended;
  ended.path = "done";
  ended.status = WarmupTask::Status::kFailed;
  ended.error_code = ENOSPC;
  ended.error_message = "needs 20 GiB, the cache has 10 GiB";
  ended.ended_unix_micros = 5;
  ended.total_object_count = 7;
  Get("/v1/warmup/load?target_path=going");
  tasks_.Add(ended);
  const AdminJson list = GetJson("/v1/warmup/list");
  ASSERT_EQ(list["TaskInfos"].size(), 2U);
  EXPECT_EQ(list["TaskInfos"][0]["Path"], "going");
  EXPECT_EQ(list["TaskInfos"][1].dump(),
            R"({"CompletedSize":0,"ErrorCode":28,"ErrorMessage":"needs 20 GiB, the cache has 10 )"
            R"(GiB","IsDir":false,"Path":"done","Pattern":"","Status":"failed","SubmitTime":0,)"
            R"("TotalSize":0,"Id":2,"EndTime":5,"CompletedCount":0,"TotalCount":7})");
  EXPECT_EQ(GetJson("/v1/warmup/list?count=1")["TaskInfos"].size(), 1U);
  EXPECT_EQ(GetJson("/v1/warmup/running")["TaskInfos"].size(), 1U);
}

TEST_F(AdminApiTest, SaysHowManyTasksRunInAllHoweverFewAreListed) {
  WarmupTask ended;
  ended.status = WarmupTask::Status::kCompleted;
  tasks_.Add(ended);
  for (int i = 0; i < 150; ++i) Get("/v1/warmup/load?target_path=" + std::to_string(i));
  for (const auto& [target, listed_count] :
       std::map<std::string, size_t>{{"/v1/warmup/list?count=3", 3},
                                     {"/v1/warmup/list?count=1000", 151},
                                     {"/v1/warmup/running", 100},
                                     {"/v1/warmup/running?count=1000", 150}}) {
    const AdminJson list = GetJson(target);
    EXPECT_EQ(list["RunningCount"], 150) << target;
    EXPECT_EQ(list["TaskInfos"].size(), listed_count) << target;
  }
}

TEST_F(AdminApiTest, NamesThatAreNotUtf8DoNotBreakTheJson) {
  const AdminJson answer = GetJson("/v1/warmup/load?target_path=%ff%00x");
  EXPECT_EQ(answer["Results"][0]["Path"], std::string("\xef\xbf\xbd\0x", 5));
}

TEST_F(AdminApiTest, AnswersAreNotKeptNorGuessedAt) {
  for (const char* target : {"/v1/tier", "/", "/nothing", "/metrics"}) {
    const HttpAnswer answer = Get(target);
    for (const auto& header : {std::pair<std::string, std::string>{"Cache-Control", "no-store"},
                               {"X-Content-Type-Options", "nosniff"}})
      EXPECT_NE(std::ranges::find(answer.headers, header), answer.headers.end()) << target;
    for (const auto& [name, value] : answer.headers)
      EXPECT_FALSE(name.starts_with("Access-Control")) << target;
  }
}

TEST_F(AdminApiTest, ThePageIsInTheProgramAndLoadsNothingFromElsewhere) {
  const HttpAnswer page = Get("/?token=x");
  EXPECT_EQ(page.headers[0].second, "text/html; charset=utf-8");
  EXPECT_EQ(page.headers[1].first, "Content-Security-Policy");
  EXPECT_TRUE(page.headers[1].second.starts_with("default-src 'none'; script-src 'self'"));
  EXPECT_NE(page.body.find("<script src=\"/page.js\""), std::string::npos);
  for (const PageFile& file : PageFiles())
    for (const char* elsewhere : {"https://", "http://", "//cdn"}) {
      std::string text(file.text);
      // The name of SVG is an address, and nothing is loaded from it.
      for (size_t at; (at = text.find("http://www.w3.org/2000/svg")) != std::string::npos;)
        text.erase(at, 26);
      EXPECT_EQ(text.find(elsewhere), std::string::npos) << file.path;
    }
}

TEST_F(AdminApiTest, MetricsAndStatusAreAsTheReportSays) {
  EXPECT_EQ(Get("/metrics").headers[0].second, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(Get("/metrics").body, "shoal_ready 1\n");
  report_.SetStatusJson(R"({"version":"1"})");
  EXPECT_EQ(Get("/v1/status").body, "{\"version\":\"1\"}\n");
}

}  // namespace
}  // namespace shoal
