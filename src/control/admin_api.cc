#include "control/admin_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "control/admin_json.h"
#include "control/page_files.h"
#include "control/warmup_path.h"
#include "fs/errno.h"

namespace shoal {
namespace {

constexpr size_t kPathCountMax = 10'000;
constexpr size_t kTaskCountMax = 10'000;  // in one answer
constexpr size_t kListedTaskCount = 100;
constexpr uint64_t kPrecedingSecondsDefault = 86400;
constexpr uint64_t kPrecedingSecondsMax = 100ULL * 366 * 86400;
constexpr Duration kStoreWait = std::chrono::seconds(20);
// When a node that is not ready, or has heard nothing, asks the store. Nothing has the path:
// a listing without keys says enough.
constexpr Duration kStoreTrialEvery = std::chrono::seconds(5);
constexpr Duration kStoreTrialWait = std::chrono::seconds(2);
constexpr std::string_view kTrialPath = ".shoal/is-the-store-there";

constexpr std::string_view kOptionNameBytes =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
constexpr std::string_view kFilesOfCredentials[] = {"passwd_file", "g_oss_STSFile"};

constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

HttpAnswer TextAnswer(int status, std::string text) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text) + "\n"};
}

HttpAnswer WithCommonHeaders(HttpAnswer answer) {
  answer.headers.emplace_back("Cache-Control", "no-store");
  answer.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return answer;
}

using Options = std::map<std::string, std::string, std::less<>>;

// Of a form, or an object of JSON.
Result<Options> OptionsOf(const HttpCall& call, const AdminQuery& query) {
  const auto type = call.headers.find("content-type");
  if (type == call.headers.end() || !IsMediaType(type->second, "application/json"))
    return query.parameters;
  const AdminJson json = AdminJson::parse(call.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Fail(Errc::kInvalid, "the body is not an object of JSON");
  Options options;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string() && !value.is_number() && !value.is_boolean())
      return Fail(Errc::kInvalid, log::Printable(name) + ": not a text, a number or a boolean");
    options[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return options;
}

HttpAnswer Processed(AdminJson results) {
  AdminJson json = Outcome(0, kRequestProcessed);
  json["Results"] = std::move(results);
  return JsonAnswer(json);
}

Result<std::vector<std::string>> PathsOf(const AdminQuery& query) {
  const std::string* const list = query.Find("target_path");
  if (list == nullptr)
    return Fail(Errc::kInvalid,
                "target_path is missing: relative paths below the mount point, with commas "
                "between them; empty for the root");
  const std::vector<std::string> listed = SplitPaths(*list);
  // Once each: the work and the answer are bounded by what is asked, not by how often.
  std::unordered_set<std::string_view> seen;
  std::vector<std::string> paths;
  for (const std::string& path : listed)
    if (seen.insert(path).second) paths.push_back(path);
  if (paths.empty()) return Fail(Errc::kInvalid, "target_path has commas and no path");
  if (paths.size() > kPathCountMax)
    return Fail(Errc::kInvalid,
                fmt::format("{} paths; at most {} in a request", paths.size(), kPathCountMax));
  return paths;
}

// An expression that is empty filters nothing.
std::optional<std::string_view> PatternOf(const AdminQuery& query) {
  const std::string* const pattern = query.Find("pattern");
  if (pattern == nullptr || pattern->empty()) return std::nullopt;
  return *pattern;
}

Result<uint64_t> PrecedingSecondsOf(const AdminQuery& query) {
  const std::string* const text = query.Find("preceding_time");
  if (text == nullptr) return kPrecedingSecondsDefault;
  uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  const bool is_number = error == std::errc{} || error == std::errc::result_out_of_range;
  if (error == std::errc::result_out_of_range) seconds = kPrecedingSecondsMax;
  if (!is_number || end != text->data() + text->size())
    return Fail(Errc::kInvalid,
                "preceding_time: not a whole number of seconds: '" + log::Printable(*text) + "'");
  return std::min(seconds, kPrecedingSecondsMax);
}

Result<size_t> CountOf(const AdminQuery& query) {
  const std::string* const text = query.Find("count");
  if (text == nullptr) return kListedTaskCount;
  size_t count = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), count);
  if (error != std::errc{} || end != text->data() + text->size() || count > kTaskCountMax)
    return Fail(Errc::kInvalid, fmt::format("count: not a number from 0 to {}", kTaskCountMax));
  return count;
}

HttpAnswer BadRequest(const Error& error) {
  return ErrorAnswer(400, error.detail);
}

bool IsWarm(const WarmCoverage& coverage) {
  return coverage.cached_object_count == coverage.object_count &&
         coverage.cached_bytes >= coverage.total_bytes;
}

}  // namespace

struct AdminApi::Route {
  std::string_view path;
  AdminCallKind kind;
  HttpAnswer (AdminApi::*answer)(const Call&);
  std::span<const std::string_view> parameters = {};
  bool takes_any_parameter = false;  // and POST alone

  [[nodiscard]] std::span<const std::string_view> methods() const {
    static constexpr std::string_view kMethods[] = {"HEAD", "GET", "POST"};
    const std::span<const std::string_view> all = kMethods;
    if (takes_any_parameter) return all.last(1);
    return kind == AdminCallKind::kChanges ? all.last(2) : all;
  }
};

const AdminApi::Route* AdminApi::FindRoute(std::string_view path) {
  using enum AdminCallKind;
  static constexpr std::string_view kTaskParameters[] = {"target_path", "pattern",
                                                         "preceding_time"};
  static constexpr std::string_view kPathParameter[] = {"target_path"};
  static constexpr std::string_view kCountParameter[] = {"count"};
  static constexpr std::string_view kWarmParameter[] = {"warm"};
  static constexpr Route kRoutes[] = {
      {"/v1/warmup/load", kChanges, &AdminApi::Load, kTaskParameters},
      {"/v1/warmup/stat", kReads, &AdminApi::Stat, kTaskParameters},
      {"/v1/warmup/cancel", kChanges, &AdminApi::Cancel, kTaskParameters},
      {"/v1/warmup/list", kReads, &AdminApi::ListTasks, kCountParameter},
      {"/v1/warmup/running", kReads, &AdminApi::RunningTasks, kCountParameter},
      {"/v1/stat", kReads, &AdminApi::DescribePath, kPathParameter},
      {"/v1/tier", kReads, &AdminApi::Tier},
      {"/v1/tier/clear", kChanges, &AdminApi::ClearTier},
      {"/v1/action/clear_readdir_cache", kChanges, &AdminApi::ClearDirectoryCache},
      {"/v1/action/clear_metadata_cache", kChanges, &AdminApi::ClearMetadataCache},
      {"/v1/options", kChanges, &AdminApi::ChangeOptions, {}, /*takes_any_parameter=*/true},
      {"/v1/status", kReads, &AdminApi::Status},
      {"/metrics", kReads, &AdminApi::Metrics},
      {"/healthz", kOpen, &AdminApi::Health},
      {"/readyz", kReads, &AdminApi::Ready, kWarmParameter},
      {"/", kOpen, &AdminApi::ServePageFile},
      {"/page.css", kOpen, &AdminApi::ServePageFile},
      {"/page.js", kOpen, &AdminApi::ServePageFile},
  };
  const auto* const found = std::ranges::find(kRoutes, path, &Route::path);
  return found == std::end(kRoutes) ? nullptr : found;
}

HttpAnswer AdminApi::Refusal(int status, std::string_view reason) {
  return WithCommonHeaders(ErrorAnswer(status, reason));
}

HttpAnswer AdminApi::Answer(const HttpCall& call, const AdminAccessRules& rules) {
  const auto query = ParseAdminQuery(call);
  const Route* const route =
      FindRoute(query ? std::string_view(query->path)
                      : std::string_view(call.target).substr(0, call.target.find('?')));
  // Who may not ask is not told what there is.
  if (const auto refusal = RefusalOf(call, route ? route->kind : AdminCallKind::kReads, rules)) {
    HttpAnswer answer = Refusal(refusal->status, refusal->reason);
    if (refusal->status == 401) answer.headers.emplace_back("WWW-Authenticate", "Bearer");
    return answer;
  }
  if (route == nullptr)
    return Refusal(404,
                   "no such path; there are /v1/warmup/load, stat, cancel, list and running, "
                   "/v1/stat, /v1/status, /v1/options, /v1/tier, /v1/tier/clear, "
                   "/v1/action/clear_readdir_cache and clear_metadata_cache, /metrics, /healthz, "
                   "/readyz and / for people");
  if (const auto methods = route->methods();
      std::ranges::find(methods, call.method) == methods.end()) {
    const std::string allowed = fmt::format("{}", fmt::join(methods, ", "));
    HttpAnswer answer = Refusal(405, allowed + ", not " + log::Printable(call.method));
    answer.headers.emplace_back("Allow", allowed);
    return answer;
  }
  if (!query) return WithCommonHeaders(BadRequest(query.error()));
  if (const Result<> known = CheckParameters(*route, *query); !known)
    return WithCommonHeaders(BadRequest(known.error()));
  const bool is_trusted = !rules.token.empty() || rules.clients_are_certified;
  return WithCommonHeaders((this->*route->answer)({call, *query, is_trusted}));
}

Result<> AdminApi::CheckParameters(const Route& route, const AdminQuery& query) {
  // The page's address is for people, whose browsers and bookmarks add to it.
  if (route.kind == AdminCallKind::kOpen || route.takes_any_parameter) return {};
  for (const auto& [name, value] : query.parameters)
    if (std::ranges::find(route.parameters, name) == route.parameters.end())
      return Fail(Errc::kInvalid,
                  fmt::format("'{}' is no parameter of {}{}{}", log::Printable(name), route.path,
                              route.parameters.empty() ? ", which has none" : "; there are ",
                              fmt::join(route.parameters, ", ")));
  return {};
}

HttpAnswer AdminApi::Load(const Call& call) {
  const auto paths = PathsOf(call.query);
  if (!paths) return BadRequest(paths.error());
  const auto seconds = PrecedingSecondsOf(call.query);
  if (!seconds) return BadRequest(seconds.error());
  const auto tasks = node_.warmup.LoadAll(*paths, PatternOf(call.query).value_or(""));
  AdminJson results = AdminJson::array();
  for (size_t i = 0; i < tasks.size(); ++i)
    results.push_back(ResultOf(
        (*paths)[i], call.http.local_address, tasks[i] ? 0 : ToErrno(tasks[i].error().code),
        tasks[i] ? "The warm up (" + NamedPath((*paths)[i]) +
                       ") is processing in the background. Use the 'stat' command to get status."
                 : tasks[i].error().detail));
  return Processed(std::move(results));
}

HttpAnswer AdminApi::Stat(const Call& call) {
  const auto paths = PathsOf(call.query);
  if (!paths) return BadRequest(paths.error());
  const auto seconds = PrecedingSecondsOf(call.query);
  if (!seconds) return BadRequest(seconds.error());
  const int64_t since = (node_.clock.UnixSeconds() - static_cast<int64_t>(*seconds)) * 1'000'000;
  AdminJson results = AdminJson::array();
  size_t task_count = 0;
  for (const std::string& path : *paths) {
    const std::vector<WarmupTask> tasks = node_.warmup.Find(path, PatternOf(call.query), since);
    AdminJson infos = AdminJson::array();
    for (const WarmupTask& task : tasks) {
      if (task_count == kTaskCountMax) break;
      ++task_count;
      infos.push_back(TaskInfo(task));
    }
    const auto result = [&]() -> AdminJson {
      if (const auto normal = NormalizeWarmupPath(path); !normal)
        return ResultOf(path, call.http.local_address, ToErrno(normal.error().code),
                        normal.error().detail);
      if (tasks.empty())
        return ResultOf(path, call.http.local_address, ENOENT,
                        fmt::format("There is no warm up ({}) of the last {} seconds. Use the "
                                    "'load' command to begin one, or ask with a longer "
                                    "preceding_time.",
                                    NamedPath(path), *seconds));
      if (infos.size() < tasks.size())
        return ResultOf(path, call.http.local_address, EMSGSIZE,
                        fmt::format("More than {} tasks in one answer. Ask for fewer paths or "
                                    "with a shorter preceding_time.",
                                    kTaskCountMax));
      return ResultOf(path, call.http.local_address, 0, "Successfully stat the warm up");
    };
    AdminJson entry = result();
    entry["TaskInfos"] = std::move(infos);
    results.push_back(std::move(entry));
  }
  return Processed(std::move(results));
}

HttpAnswer AdminApi::Cancel(const Call& call) {
  const auto paths = PathsOf(call.query);
  if (!paths) return BadRequest(paths.error());
  const auto seconds = PrecedingSecondsOf(call.query);
  if (!seconds) return BadRequest(seconds.error());
  const auto tasks = node_.warmup.CancelAll(*paths, PatternOf(call.query));
  AdminJson results = AdminJson::array();
  for (size_t i = 0; i < tasks.size(); ++i)
    results.push_back(ResultOf(
        (*paths)[i], call.http.local_address, tasks[i] ? 0 : ToErrno(tasks[i].error().code),
        tasks[i] ? "Successfully cancel the warm up" : tasks[i].error().detail));
  return Processed(std::move(results));
}

HttpAnswer AdminApi::ListTasks(const Call& call) {
  const auto count = CountOf(call.query);
  if (!count) return BadRequest(count.error());
  return TaskListAnswer(node_.warmup.Newest(*count), node_.warmup.RunningCount());
}

HttpAnswer AdminApi::RunningTasks(const Call& call) {
  const auto count = CountOf(call.query);
  if (!count) return BadRequest(count.error());
  std::vector<WarmupTask> tasks = node_.warmup.Newest(*count);
  std::erase_if(tasks,
                [](const WarmupTask& task) { return task.status != WarmupTask::Status::kRunning; });
  return TaskListAnswer(tasks, node_.warmup.RunningCount());
}

HttpAnswer AdminApi::DescribePath(const Call& call) {
  const std::string* const path = call.query.Find("target_path");
  if (path == nullptr)
    return ErrorAnswer(400,
                       "target_path is missing: one path below the mount point; empty for "
                       "the root");
  if (!store_calls_.try_acquire())
    return ErrorAnswer(503, "other calls wait for the store; try again in a moment");
  const auto facts = node_.describe_path(*path, Deadline::After(node_.clock, kStoreWait));
  store_calls_.release();
  if (facts) return JsonAnswer(PathFactsAsJson(*path, *facts));
  const Error& error = facts.error();
  return JsonAnswer(Outcome(ToErrno(error.code), error.detail), error.code == Errc::kNotFound ? 404
                                                                : error.code == Errc::kInvalid
                                                                    ? 400
                                                                    : 502);
}

HttpAnswer AdminApi::Tier(const Call&) {
  return JsonAnswer(TierAsJson(node_.report.Tier()));
}

HttpAnswer AdminApi::ClearTier(const Call&) {
  node_.report.ClearTier();
  return JsonAnswer(Outcome(0, "Successfully clear the tier counters"));
}

HttpAnswer AdminApi::ClearDirectoryCache(const Call&) {
  node_.clear_directory_cache();
  return JsonAnswer(Outcome(0, "Successfully clear the readdir cache"));
}

HttpAnswer AdminApi::ClearMetadataCache(const Call&) {
  node_.clear_metadata_cache();
  return JsonAnswer(Outcome(0, "Successfully clear the metadata cache"));
}

HttpAnswer AdminApi::ChangeOptions(const Call& call) {
  const Result<Options> options = OptionsOf(call.http, call.query);
  if (!options) return BadRequest(options.error());
  if (options->empty())
    return ErrorAnswer(400, "no option; send NAME=VALUE as a form, or one object of JSON");
  // They are joined to a list, in which these would begin another option.
  for (const auto& [name, value] : *options)
    if (name.empty() || name.find_first_not_of(kOptionNameBytes) != std::string::npos)
      return ErrorAnswer(400, "not the name of an option: '" + log::Printable(name) + "'");
  // Whoever may choose what root reads learns something of it.
  if (!call.is_trusted)
    for (const std::string_view name : kFilesOfCredentials)
      if (options->contains(name))
        return ErrorAnswer(403, fmt::format("{}: by shoal update, or with admin_token_file or "
                                            "admin_client_ca_file",
                                            name));
  const Result<> changed = node_.change_options(*options);
  if (changed) return JsonAnswer(Outcome(0, "Successfully change the options"));
  const Error& error = changed.error();
  const int status = error.code == Errc::kInvalid       ? 400
                     : error.code == Errc::kUnsupported ? 409
                     : error.code == Errc::kBusy        ? 503
                                                        : 502;
  return JsonAnswer(Outcome(ToErrno(error.code), error.detail), status);
}

HttpAnswer AdminApi::Status(const Call&) {
  FreshenReadiness();
  return {200, {{"Content-Type", "application/json"}}, node_.report.StatusJson() + "\n"};
}

HttpAnswer AdminApi::Metrics(const Call&) {
  FreshenReadiness();
  return {200,
          {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
          node_.report.PrometheusText()};
}

HttpAnswer AdminApi::Health(const Call&) {
  const std::optional<std::string> stuck = node_.report.Stuck();
  return stuck ? TextAnswer(503, *stuck) : TextAnswer(200, "ok");
}

// Who waits for a node to be ready sends it no work from which it would learn that it is; nor does
// one that nobody uses learn that it is not.
void AdminApi::FreshenReadiness() {
  if (node_.report.Ready().ready && !node_.report.StoreIsSilent()) return;
  {
    const MutexLock lock(mutex_);
    const Instant now = node_.clock.Now();
    if (store_tried_ && now - *store_tried_ < kStoreTrialEvery) return;
    store_tried_ = now;
  }
  if (!store_calls_.try_acquire()) return;
  // The report hears of what comes of it.
  (void)node_.describe_path(kTrialPath, Deadline::After(node_.clock, kStoreTrialWait));
  store_calls_.release();
}

HttpAnswer AdminApi::Ready(const Call& call) {
  FreshenReadiness();
  const Readiness readiness = node_.report.Ready();
  if (!readiness.ready) return TextAnswer(503, readiness.reason);
  const std::string* const path = call.query.Find("warm");
  if (path == nullptr) return TextAnswer(200, "ready");
  if (!store_calls_.try_acquire())
    return TextAnswer(503, "other calls wait for the store; try again in a moment");
  const auto coverage = node_.warmup.Examine(*path, Deadline::After(node_.clock, kStoreWait));
  store_calls_.release();
  if (!coverage)
    return TextAnswer(coverage.error().code == Errc::kInvalid ? 400 : 503, coverage.error().detail);
  return TextAnswer(
      IsWarm(*coverage) ? 200 : 503,
      fmt::format("{}: {} of {} objects and {} of {} bytes are cached",
                  log::Printable(NamedPath(*path)), coverage->cached_object_count,
                  coverage->object_count, coverage->cached_bytes, coverage->total_bytes));
}

HttpAnswer AdminApi::ServePageFile(const Call& call) {
  const auto files = PageFiles();
  const auto file = std::ranges::find(files, std::string_view(call.query.path), &PageFile::path);
  return {200,
          {{"Content-Type", std::string(file->content_type)},
           {"Content-Security-Policy", std::string(kContentSecurityPolicy)},
           {"Referrer-Policy", "no-referrer"}},
          std::string(file->text)};
}

}  // namespace shoal
