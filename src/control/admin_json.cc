#include "control/admin_json.h"

#include <cerrno>
#include <utility>

namespace shoal {
namespace {

int ErrnoOf(int status) {
  switch (status) {
    case 401:
    case 403:
      return EACCES;
    case 404:
      return ENOENT;
    case 405:
      return EOPNOTSUPP;
    case 408:
      return ETIMEDOUT;
    case 413:
    case 431:
      return EMSGSIZE;
    case 503:
      return EBUSY;
    default:
      return EINVAL;
  }
}

std::string TextOf(const AdminJson& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, AdminJson::error_handler_t::replace);
}

}  // namespace

HttpAnswer JsonAnswer(const AdminJson& json, int status) {
  return {status, {{"Content-Type", "application/json"}}, TextOf(json) + "\n"};
}

HttpAnswer ErrorAnswer(int status, std::string_view reason) {
  AdminJson json = Outcome(ErrnoOf(status), reason);
  json["Results"] = AdminJson::array();
  return JsonAnswer(json, status);
}

AdminJson Outcome(int error_code, std::string_view message) {
  return {{"ErrorCode", error_code}, {"ErrorMessage", message}};
}

std::string NamedPath(std::string_view path) {
  return std::string(path.empty() ? "/" : path);
}

AdminJson ResultOf(std::string_view path, std::string_view location, int error_code,
                   std::string_view message) {
  return {
      {"ErrorCode", error_code}, {"ErrorMessage", message}, {"Location", location}, {"Path", path}};
}

AdminJson TaskInfo(const WarmupTask& task) {
  return {{"CompletedSize", task.completed_bytes},
          {"ErrorCode", task.error_code},
          {"ErrorMessage", task.error_message},
          {"IsDir", task.is_directory},
          {"Path", task.path},
          {"Pattern", task.pattern},
          {"Status", StatusName(task.status)},
          {"SubmitTime", task.submitted_unix_micros},
          {"TotalSize", task.total_bytes}};
}

AdminJson LongTaskInfo(const WarmupTask& task) {
  AdminJson info = TaskInfo(task);
  info["Id"] = task.id;
  info["EndTime"] = task.ended_unix_micros;
  info["CompletedCount"] = task.completed_object_count;
  info["TotalCount"] = task.total_object_count;
  return info;
}

HttpAnswer TaskListAnswer(const std::vector<WarmupTask>& tasks, size_t running_count) {
  AdminJson json = Outcome(0, kRequestProcessed);
  json["RunningCount"] = running_count;
  std::string text = TextOf(json);
  text.back() = ',';
  text += "\"TaskInfos\":[";
  for (const WarmupTask& task : tasks) {
    if (&task != &tasks.front()) text += ',';
    text += TextOf(LongTaskInfo(task));
  }
  text += "]}\n";
  text.shrink_to_fit();  // it may be on its way for long
  return {200, {{"Content-Type", "application/json"}}, std::move(text)};
}

AdminJson TierAsJson(const TierCounters& counters) {
  AdminJson json = Outcome(0, kRequestProcessed);
  json["tier_read"] = counters.tier_read;
  json["tier_read_bytes"] = counters.tier_read_bytes;
  json["tier_read_hit"] = counters.tier_read_hit;
  json["tier_read_hit_bytes"] = counters.tier_read_hit_bytes;
  json["tier_read_miss"] = counters.tier_read_miss;
  json["tier_read_miss_bytes"] = counters.tier_read_miss_bytes;
  json["tier_direct_read"] = counters.tier_direct_read;
  json["tier_direct_read_bytes"] = counters.tier_direct_read_bytes;
  json["tier_root_read_source"] = counters.tier_root_read_source;
  json["tier_root_read_source_bytes"] = counters.tier_root_read_source_bytes;
  return json;
}

AdminJson PathFactsAsJson(std::string_view path, const PathFacts& facts) {
  AdminJson json = Outcome(0, kRequestProcessed);
  json["Path"] = path;
  json["IsDir"] = facts.is_directory;
  json["TotalSize"] = facts.coverage.total_bytes;
  json["CachedSize"] = facts.coverage.cached_bytes;
  json["ObjectCount"] = facts.coverage.object_count;
  json["CachedObjectCount"] = facts.coverage.cached_object_count;
  if (facts.is_directory) return json;
  json["Key"] = facts.key;
  json["ETag"] = facts.etag;
  json["StorageClass"] = facts.storage_class;
  json["Served"] = facts.served;
  if (facts.last_request)
    json["LastRequest"] = {{"Operation", facts.last_request->operation},
                           {"Id", facts.last_request->id},
                           {"Status", facts.last_request->status},
                           {"Failure", facts.last_request->failure},
                           {"EndTime", facts.last_request->ended_unix_micros}};
  else
    json["LastRequest"] = nullptr;
  return json;
}

}  // namespace shoal
