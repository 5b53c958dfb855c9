#include "control/node_reporter.h"

#include <pthread.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "control/process_use.h"

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;
using RequestKind = RequestMetrics::Kind;
using StoreKind = StoreMetrics::Kind;

constexpr size_t kErrorCountMax = 20;

// The counters of the specification, in its order.
constexpr std::pair<std::string_view, uint64_t TierCounters::*> kTierCounters[] = {
    {"tier_read", &TierCounters::tier_read},
    {"tier_read_bytes", &TierCounters::tier_read_bytes},
    {"tier_read_hit", &TierCounters::tier_read_hit},
    {"tier_read_hit_bytes", &TierCounters::tier_read_hit_bytes},
    {"tier_read_miss", &TierCounters::tier_read_miss},
    {"tier_read_miss_bytes", &TierCounters::tier_read_miss_bytes},
    {"tier_direct_read", &TierCounters::tier_direct_read},
    {"tier_direct_read_bytes", &TierCounters::tier_direct_read_bytes},
    {"tier_root_read_source", &TierCounters::tier_root_read_source},
    {"tier_root_read_source_bytes", &TierCounters::tier_root_read_source_bytes},
};

// The volumes as operators think of them: memory first, then each directory.
std::vector<CacheVolume*> VolumesOf(const Tiers& tiers) {
  std::vector<CacheVolume*> volumes;
  for (const auto* tier : {tiers.memory.get(), tiers.disk.get()})
    if (tier != nullptr)
      for (const auto& volume : tier->volumes()) volumes.push_back(volume.get());
  return volumes;
}

std::string_view KindOf(const CacheVolume& volume) {
  return volume.is_memory() ? "memory" : "disk";
}

// Directories are shown as their user wrote them: with a slash at the end.
std::string PathOf(const CacheVolume& volume) {
  return volume.is_memory() ? "" : volume.name();
}

Json Microseconds(double seconds) {
  return static_cast<uint64_t>(seconds * 1e6);
}

Json Microseconds(std::optional<double> seconds) {
  return seconds ? Microseconds(*seconds) : Json();
}

Json VolumesAsJson(const Tiers& tiers) {
  Json list = Json::array();
  for (CacheVolume* volume : VolumesOf(tiers)) {
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
  column("fetched_bytes", [](const auto& second) { return second.fetched_bytes; });
  column("read_count", [](const auto& second) { return second.read_count; });
  column("error_count", [](const auto& second) { return second.error_count; });
  column("read_p50_us", [](const auto& s) { return Microseconds(s.read_p50_seconds); });
  column("read_p99_us", [](const auto& s) { return Microseconds(s.read_p99_seconds); });
  return json;
}

// The newest first; those with the same text are one.
Json ErrorsAsJson() {
  Json list = Json::array();
  const std::vector<log::Event> events = log::RecentTrouble();
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    const std::string reason = log::Printable(event->text);
    bool known = false;
    for (Json& entry : list)
      if (entry["reason"] == reason) {
        entry["count"] = entry["count"].get<uint64_t>() + 1;
        known = true;
      }
    if (known || list.size() == kErrorCountMax) continue;
    list.push_back({{"last_unix_seconds", event->unix_millis / 1000},
                    {"count", 1},
                    {"severity", event->level == log::Level::kError ? "error" : "warning"},
                    {"reason", reason}});
  }
  return list;
}

void ReportVolumes(const Tiers& tiers, MetricReport& report) {
  for (CacheVolume* volume : VolumesOf(tiers)) {
    const MetricReport::Labels labels = {{"tier", std::string(KindOf(*volume))},
                                         {"directory", PathOf(*volume)}};
    const CacheVolume::Usage usage = volume->usage();
    report.AddGauge("shoal_cache_capacity_bytes", "Room that a cache may take",
                    static_cast<double>(volume->capacity_bytes()), labels);
    report.AddGauge("shoal_cache_used_bytes", "Room that a cache takes of its medium",
                    static_cast<double>(usage.used_bytes), labels);
    report.AddGauge("shoal_cache_objects", "Objects of which a cache has at least a page",
                    static_cast<double>(usage.object_count), labels);
    report.AddGauge("shoal_cache_index_bytes", "Memory that the index of a cache takes",
                    static_cast<double>(usage.index_bytes), labels);
    report.AddGauge("shoal_cache_working",
                    "1, or 0 while a cache is left out because its medium failed",
                    volume->usable() ? 1 : 0, labels);
    const VolumeMetrics& metrics = volume->metrics();
    report.Add(metrics.filled_bytes, labels);
    report.Add(metrics.dropped_bytes, labels);
    report.Add(metrics.evicted_bytes, labels);
    report.Add(metrics.put_aside, labels);
    report.Add(metrics.stalled_reads, labels);
  }
}

void ReportPlaces(const PlaceCounters& reads, MetricReport& report) {
  for (const ServedBy place :
       {ServedBy::kMemory, ServedBy::kDisk, ServedBy::kPeer, ServedBy::kOrigin}) {
    const MetricReport::Labels labels = {{"place", std::string(PlaceName(place))}};
    report.AddCounter("shoal_served_requests_total", "Reads of ranges, by where they were found",
                      static_cast<double>(reads.read(place).requests), labels);
    report.AddCounter("shoal_served_bytes_total", "Bytes read, by where they were found",
                      static_cast<double>(reads.read(place).bytes), labels);
    report.AddCounter("shoal_warmup_bytes_total", "Bytes that warm-ups read, by where they were",
                      static_cast<double>(reads.warmed(place).bytes), labels);
  }
}

}  // namespace

NodeReporter::NodeReporter(const NodeParts& parts)
    : parts_(parts), started_unix_seconds_(parts.clock.UnixSeconds()) {
  sampler_ = std::thread([this] { Sample(); });
}

NodeReporter::~NodeReporter() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    stop_came_.notify_all();
  }
  sampler_.join();
}

void NodeReporter::Sample() {
  pthread_setname_np(pthread_self(), "report-sample");
  Instant next = parts_.clock.Now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const NodeTotals totals = Totals();
    lock.lock();
    history_.Add(totals);
    history_end_unix_seconds_ = parts_.clock.UnixSeconds();
    next += std::chrono::seconds(1);
    stop_came_.wait_until(lock, next, [this] { return stopping_; });
  }
}

NodeTotals NodeReporter::Totals() const {
  NodeTotals totals;
  for (size_t i = 0; i < kPlaceCount; ++i)
    totals.place_bytes[i] = parts_.reads.read(static_cast<ServedBy>(i)).bytes;
  totals.fetched_bytes = parts_.store.received_bytes().Value();
  totals.cpu_seconds = GetProcessUse().cpu_seconds;
  constexpr RequestKind kRequests[] = {RequestKind::kRead, RequestKind::kOpen, RequestKind::kLookup,
                                       RequestKind::kReadDirectory};
  constexpr StoreKind kCalls[] = {StoreKind::kGet, StoreKind::kHead, StoreKind::kList};
  const RequestMetrics& requests = parts_.session.metrics();
  auto operation = totals.operations.begin();
  for (const RequestKind kind : kRequests)
    *operation++ = {requests.latency(kind).Take(), requests.error_count(kind)};
  for (const StoreKind kind : kCalls)
    *operation++ = {parts_.store.latency(kind).Take(), parts_.store.error_count(kind)};
  return totals;
}

TierCounters NodeReporter::TierSinceStart() const {
  TierCounters counters;
  if (!parts_.tiers.memory && !parts_.tiers.disk) return counters;  // there is no cache path
  for (const ServedBy place : {ServedBy::kMemory, ServedBy::kDisk, ServedBy::kPeer}) {
    counters.tier_read_hit += parts_.reads.read(place).requests;
    counters.tier_read_hit_bytes += parts_.reads.read(place).bytes;
  }
  const RequestMetrics& requests = parts_.session.metrics();
  counters.tier_read_hit += requests.passed_opens().Value();
  counters.tier_read_hit_bytes += requests.passed_bytes().Value();
  counters.tier_read_miss = parts_.reads.read(ServedBy::kOrigin).requests;
  counters.tier_read_miss_bytes = parts_.reads.read(ServedBy::kOrigin).bytes;
  counters.tier_read = counters.tier_read_hit + counters.tier_read_miss;
  counters.tier_read_bytes = counters.tier_read_hit_bytes + counters.tier_read_miss_bytes;
  const auto fetched = parts_.fetches.read(ServedBy::kOrigin);
  const auto warmed = parts_.fetches.warmed(ServedBy::kOrigin);
  counters.tier_root_read_source = fetched.requests + warmed.requests;
  counters.tier_root_read_source_bytes = fetched.bytes + warmed.bytes;
  return counters;
}

TierCounters NodeReporter::Tier() {
  TierCounters counters = TierSinceStart();
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, member] : kTierCounters) counters.*member -= cleared_at_.*member;
  return counters;
}

void NodeReporter::ClearTier() {
  const TierCounters now = TierSinceStart();
  const std::scoped_lock lock(mutex_);
  cleared_at_ = now;
}

Readiness NodeReporter::Ready() {
  if (const std::optional<Error> trouble = parts_.store.trouble())
    return {.ready = false, .reason = log::Printable(trouble->detail)};
  return {.ready = true, .reason = {}};
}

std::string NodeReporter::PrometheusText() {
  MetricReport report;
  const SessionFacts facts = parts_.session.facts();
  report.AddGauge("shoal_build_info", "1, with the program's version", 1,
                  {{"version", parts_.version}});
  report.AddGauge("shoal_mount_info", "1, with what the mount is", 1,
                  {{"source", log::Printable(parts_.source)},
                   {"mount_point", log::Printable(parts_.mount_point)},
                   {"transport", facts.io_uring ? "io_uring" : "dev"},
                   {"passthrough", facts.passthrough ? "true" : "false"}});
  report.AddGauge("shoal_ready", "1 when /readyz says so", Ready().ready ? 1 : 0);
  const RequestMetrics& requests = parts_.session.metrics();
  requests.ReportTo(report);
  report.AddGauge("shoal_open_files", "Files that programs have open",
                  static_cast<double>(requests.open_file_count()));
  ReportPlaces(parts_.reads, report);
  const TierCounters tier = TierSinceStart();
  for (const auto& [name, member] : kTierCounters)
    report.AddCounter("shoal_" + std::string(name) + "_total",
                      "As " + std::string(name) + " of /v1/tier, never cleared",
                      static_cast<double>(tier.*member));
  ReportVolumes(parts_.tiers, report);
  parts_.store.ReportTo(report);
  const ProcessUse use = GetProcessUse();
  report.AddCounter("process_cpu_seconds_total", "Processor time of the daemon", use.cpu_seconds);
  report.AddGauge("process_resident_memory_bytes", "Memory of the daemon, the memory cache apart",
                  static_cast<double>(use.resident_bytes));
  report.AddGauge("process_open_fds", "Open file descriptors of the daemon",
                  static_cast<double>(use.descriptor_count));
  report.AddGauge("process_threads", "Threads of the daemon",
                  static_cast<double>(use.thread_count));
  report.AddGauge("process_start_time_seconds", "When the daemon started, since the epoch",
                  static_cast<double>(started_unix_seconds_));
  return report.Text();
}

std::string NodeReporter::StatusJson() {
  const SessionFacts facts = parts_.session.facts();
  const RequestMetrics& requests = parts_.session.metrics();
  const Readiness ready = Ready();
  const bool has_cache = parts_.tiers.memory || parts_.tiers.disk;
  Json status = {{"version", parts_.version},
                 {"now_unix_seconds", parts_.clock.UnixSeconds()},
                 {"started_unix_seconds", started_unix_seconds_},
                 {"ready", ready.ready},
                 {"reason", ready.reason}};
  status["mount"] = {{"source", log::Printable(parts_.source)},
                     {"mount_point", log::Printable(parts_.mount_point)},
                     {"type", parts_.type},
                     {"role", has_cache ? "single node" : "basic"},
                     {"transport", facts.io_uring ? "io_uring" : "dev"},
                     {"passthrough", facts.passthrough}};
  status["open"] = {{"file_count", requests.open_file_count()},
                    {"directory_count", requests.open_directory_count()}};
  status["tiers"] = VolumesAsJson(parts_.tiers);
  status["peers"] = Json::array();
  status["errors"] = ErrorsAsJson();
  const uint64_t resident_bytes = GetProcessUse().resident_bytes;
  const std::scoped_lock lock(mutex_);
  const auto& seconds = history_.seconds();
  status["process"] = {{"pid", getpid()},
                       {"resident_bytes", resident_bytes},
                       {"cpu_cores", seconds.empty() ? 0 : seconds.back().cpu_cores}};
  status["operations"] = OperationsAsJson(history_.LastMinute());
  status["history"] = HistoryAsJson(history_, history_end_unix_seconds_);
  return status.dump();
}

}  // namespace shoal
