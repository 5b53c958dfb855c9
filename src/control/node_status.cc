#include "control/node_status.h"

#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/log.h"
#include "control/process_use.h"

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kErrorCountMax = 20;

Json Microseconds(double seconds) {
  return static_cast<uint64_t>(seconds * 1e6);
}

Json Microseconds(std::optional<double> seconds) {
  return seconds ? Microseconds(*seconds) : Json();
}

Json VolumesAsJson(const NodeParts& parts) {
  Json list = Json::array();
  for (CacheVolume* volume : parts.volumes()) {
    const CacheVolume::Usage usage = volume->usage();
    list.push_back({{"kind", KindOf(*volume)},
                    {"path", PathOf(*volume)},
                    {"capacity_bytes", volume->capacity_bytes()},
                    {"used_bytes", usage.used_bytes},
                    {"object_count", usage.object_count},
                    {"working", volume->usable()},
                    {"reason", log::Printable(volume->why_not_usable())}});
  }
  return list;
}

Json OperationsAsJson(const std::array<NodeTotals::Operation, kOperationCount>& operations) {
  Json list = Json::array();
  for (size_t i = 0; i < kOperationCount; ++i) {
    const Histogram::Snapshot& latency = operations[i].latency;
    const bool any = latency.count() > 0;
    list.push_back({{"name", kOperations[i].name},
                    {"side", kOperations[i].side},
                    {"count", latency.count()},
                    {"error_count", operations[i].error_count},
                    {"p50_us", any ? Microseconds(latency.Quantile(0.5)) : Json()},
                    {"p99_us", any ? Microseconds(latency.Quantile(0.99)) : Json()}});
  }
  return list;
}

Json HistoryAsJson(const NodeHistory& history, int64_t end_unix_seconds) {
  Json json = {{"end_unix_seconds", end_unix_seconds}, {"step_seconds", 1}};
  const auto column = [&](const char* name, auto value) {
    Json& values = json[name] = Json::array();
    for (const NodeHistory::Second& second : history.seconds()) values.push_back(value(second));
  };
  constexpr const char* kColumns[kPlaceCount] = {"memory_bytes", "disk_bytes", "peer_bytes",
                                                 "origin_bytes"};
  for (size_t i = 0; i < kPlaceCount; ++i)
    column(kColumns[i], [i](const auto& second) { return second.place_bytes[i]; });
  column("passthrough_open_count", [](const auto& second) { return second.passed_open_count; });
  column("passthrough_opened_bytes", [](const auto& second) { return second.passed_bytes; });
  column("fetched_bytes", [](const auto& second) { return second.fetched_bytes; });
  column("read_count", [](const auto& second) { return second.read_count; });
  column("error_count", [](const auto& second) { return second.error_count; });
  column("read_p50_us", [](const auto& s) { return Microseconds(s.read_p50_seconds); });
  column("read_p99_us", [](const auto& s) { return Microseconds(s.read_p99_seconds); });
  return json;
}

// The newest first.
Json ErrorsAsJson() {
  Json list = Json::array();
  const std::vector<log::Event> events = log::RecentTrouble();
  for (auto event = events.rbegin(); event != events.rend() && list.size() < kErrorCountMax;
       ++event) {
    list.push_back({{"last_unix_seconds", event->unix_millis / 1000},
                    {"count", event->count},
                    {"severity", event->level == log::Level::kError ? "error" : "warning"},
                    {"reason", log::Printable(event->text)}});
  }
  return list;
}

}  // namespace

std::string StatusAsJson(const NodeParts& parts, const NodeStatus& status) {
  const SessionFacts facts = parts.session.facts();
  const RequestMetrics& requests = parts.session.metrics();
  const auto& seconds = status.history.seconds();
  Json json = {{"version", parts.version},
               {"now_unix_seconds", parts.clock.UnixSeconds()},
               {"started_unix_seconds", status.started_unix_seconds},
               {"ready", status.ready.ready},
               {"reason", status.ready.reason}};
  json["mount"] = {{"source", log::Printable(parts.source)},
                   {"mount_point", log::Printable(parts.mount_point)},
                   {"type", parts.type},
                   {"role", parts.has_cache() ? "single node" : "basic"},
                   {"transport", facts.io_uring ? "io_uring" : "dev"},
                   {"passthrough", facts.passthrough}};
  json["process"] = {
      {"pid", getpid()},
      {"resident_bytes", GetProcessUse().resident_bytes},
      {"cpu_cores", seconds.empty() ? 0 : std::round(seconds.back().cpu_cores * 100) / 100}};
  const WorkersBefore& workers = parts.workers_before;
  json["workers_before"] = {
      {"death_count", workers.death_count},
      {"last_death_unix_seconds",
       workers.death_count > 0 ? Json(workers.last_death_unix_seconds) : Json()},
      {"replaced_count", workers.replaced_count}};
  json["open"] = {{"file_count", requests.open_file_count()},
                  {"directory_count", requests.open_directory_count()}};
  json["tiers"] = VolumesAsJson(parts);
  json["operations"] = OperationsAsJson(status.history.LastMinute());
  json["history"] = HistoryAsJson(status.history, status.history_end_unix_seconds);
  json["peers"] = Json::array();
  json["errors"] = ErrorsAsJson();
  // Much of the text is not ours; what is no UTF-8 must not end the process.
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace shoal
