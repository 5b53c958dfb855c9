#include "control/node_metrics.h"

#include "base/log.h"
#include "base/metric_report.h"
#include "control/process_use.h"

namespace shoal {
namespace {

void ReportVolumes(const NodeParts& parts, MetricReport& report) {
  for (CacheVolume* volume : parts.volumes()) {
    const MetricReport::Labels labels = {{"tier", std::string(KindOf(*volume))},
                                         {"directory", PathOf(*volume)}};
    const CacheVolume::Usage usage = volume->usage();
    report.AddGauge("shoal_cache_capacity_bytes", "Room that a cache may take",
                    static_cast<double>(volume->capacity_bytes()), labels);
    report.AddGauge("shoal_cache_used_bytes", "Room that a cache takes of its medium",
                    static_cast<double>(usage.used_bytes), labels);
    report.AddGauge("shoal_cache_objects", "Objects of which a cache has at least a page",
                    static_cast<double>(usage.object_count), labels);
    report.AddGauge("shoal_cache_objects_max", "As many as memory is planned for",
                    static_cast<double>(usage.object_count_max), labels);
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

void ReportPlaces(const PlaceCounters& reads, const PlaceCounters& fetches, MetricReport& report) {
  for (const ServedBy place :
       {ServedBy::kMemory, ServedBy::kDisk, ServedBy::kPeer, ServedBy::kOrigin}) {
    const MetricReport::Labels labels = {{"place", std::string(PlaceName(place))}};
    report.AddCounter("shoal_served_requests_total", "Reads of ranges, by where they were found",
                      static_cast<double>(reads.read(place).requests), labels);
    report.AddCounter("shoal_served_bytes_total", "Bytes read, by where they were found",
                      static_cast<double>(reads.read(place).bytes), labels);
    // A warm-up reads nothing that is here: it asks behind the tiers for what is not.
    report.AddCounter("shoal_warmup_bytes_total", "Bytes that warm-ups fetched, by where they were",
                      static_cast<double>(fetches.warmed(place).bytes), labels);
  }
}

}  // namespace

std::string MetricsText(const NodeParts& parts, const TierCounters& tier, const Readiness& ready,
                        int64_t started_unix_seconds) {
  MetricReport report;
  const SessionFacts facts = parts.session.facts();
  report.AddGauge("shoal_build_info", "1, with the program's version", 1,
                  {{"version", parts.version}});
  report.AddGauge("shoal_mount_info", "1, with what the mount is", 1,
                  {{"source", log::Printable(parts.source)},
                   {"mount_point", log::Printable(parts.mount_point)},
                   {"transport", facts.io_uring ? "io_uring" : "dev"},
                   {"passthrough", facts.passthrough ? "true" : "false"}});
  report.AddGauge("shoal_ready", "1 when /readyz says so", ready.ready ? 1 : 0);
  const WorkersBefore& workers = parts.workers_before;
  report.AddCounter("shoal_worker_deaths_total",
                    "Processes that served the mount and died, since it was mounted",
                    static_cast<double>(workers.death_count));
  report.AddCounter("shoal_worker_replacements_total",
                    "Processes that served the mount and were replaced on purpose",
                    static_cast<double>(workers.replaced_count));
  const RequestMetrics& requests = parts.session.metrics();
  requests.ReportTo(report);
  report.AddGauge("shoal_open_files", "Files that programs have open",
                  static_cast<double>(requests.open_file_count()));
  ReportPlaces(parts.reads, parts.fetches, report);
  for (const auto& [name, member] : kTierCounters)
    report.AddCounter("shoal_" + std::string(name) + "_total",
                      "As " + std::string(name) + " of /v1/tier, never cleared",
                      static_cast<double>(tier.*member));
  ReportVolumes(parts, report);
  report.Add(parts.hidden_keys);
  report.AddGauge(
      "shoal_known_inodes",
      "Files and directories that the kernel is known to hold, each of which takes memory",
      static_cast<double>(parts.file_system.inode_count()));
  report.AddGauge("shoal_known_inodes_max",
                  "As many as memory is planned for; of more, the kernel is asked to let some go",
                  static_cast<double>(parts.file_system.inode_count_max()));
  parts.store.ReportTo(report);
  const ProcessUse use = GetProcessUse();
  report.AddCounter("process_cpu_seconds_total", "Processor time of the daemon", use.cpu_seconds);
  report.AddGauge("process_resident_memory_bytes", "Memory of the daemon, the memory cache apart",
                  static_cast<double>(use.resident_bytes));
  report.AddGauge("process_open_fds", "Open file descriptors of the daemon",
                  static_cast<double>(use.descriptor_count));
  report.AddGauge("process_threads", "Threads of the daemon",
                  static_cast<double>(use.thread_count));
  report.AddGauge("process_start_time_seconds", "When the daemon started, since the epoch",
                  static_cast<double>(started_unix_seconds));
  return report.Text();
}

}  // namespace shoal
