#include "control/node_reporter.h"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>
#include <vector>

#include "base/log.h"
#include "control/node_metrics.h"
#include "control/node_status.h"
#include "control/process_use.h"

namespace shoal {
namespace {

using RequestKind = RequestMetrics::Kind;
using StoreKind = StoreMetrics::Kind;

// A receiving thread takes microseconds for a request, and milliseconds for a long list of
// forgotten inodes; one that has lost its core for a while is no reason to end a node.
constexpr Duration kStuckAfter = std::chrono::seconds(10);

// A store that is asked all the time, and answers, is asked nothing more.
constexpr Duration kSilentAfter = std::chrono::seconds(10);
constexpr StoreKind kStoreCalls[] = {StoreKind::kGet, StoreKind::kHead, StoreKind::kList};

}  // namespace

NodeReporter::NodeReporter(const NodeParts& parts)
    : parts_(parts), started_unix_seconds_(parts.clock.UnixSeconds()) {
  sampler_ = std::thread([this] { Sample(); });
}

NodeReporter::~NodeReporter() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    stop_came_.NotifyAll();
  }
  sampler_.join();
}

void NodeReporter::Sample() {
  pthread_setname_np(pthread_self(), "report-sample");
  Instant next = parts_.clock.Now();
  const MutexLock lock(mutex_);
  while (!stopping_) {
    mutex_.Unlock();
    const NodeTotals totals = Totals();
    mutex_.Lock();
    NoteAnswers();
    history_.Add(totals);
    history_end_unix_seconds_ = parts_.clock.UnixSeconds();
    next += std::chrono::seconds(1);
    while (!stopping_ && stop_came_.WaitUntil(mutex_, next)) continue;
  }
}

NodeTotals NodeReporter::Totals() const {
  NodeTotals totals;
  for (size_t i = 0; i < kPlaceCount; ++i)
    totals.place_bytes[i] = parts_.reads.read(static_cast<ServedBy>(i)).bytes;
  const RequestMetrics& requests = parts_.session.metrics();
  totals.passed_open_count = requests.passed_opens().Value();
  totals.passed_bytes = requests.passed_bytes().Value();
  totals.fetched_bytes = parts_.store.received_bytes().Value();
  totals.cpu_seconds = CpuSeconds();
  constexpr RequestKind kRequests[] = {RequestKind::kRead, RequestKind::kOpen, RequestKind::kLookup,
                                       RequestKind::kReadDirectory};
  auto operation = totals.operations.begin();
  for (const RequestKind kind : kRequests)
    *operation++ = {requests.latency(kind).Take(), requests.error_count(kind)};
  for (const StoreKind kind : kStoreCalls)
    *operation++ = {parts_.store.latency(kind).Take(), parts_.store.error_count(kind)};
  return totals;
}

TierCounters NodeReporter::TierSinceStart() const {
  TierCounters counters;
  if (!parts_.has_cache()) return counters;  // there is no cache path
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
  // Counted under the lock: what a clearing between the two saw would be more than this.
  const MutexLock lock(mutex_);
  TierCounters counters = TierSinceStart();
  for (const auto& [name, member] : kTierCounters) counters.*member -= cleared_at_.*member;
  return counters;
}

void NodeReporter::ClearTier() {
  const MutexLock lock(mutex_);
  cleared_at_ = TierSinceStart();
}

std::optional<std::string> NodeReporter::Stuck() {
  const Duration longest = parts_.session.longest_receipt();
  if (longest < kStuckAfter) return std::nullopt;
  return fmt::format("a thread that receives the kernel's requests has been in one for {} s",
                     std::chrono::duration_cast<std::chrono::seconds>(longest).count());
}

Readiness NodeReporter::Ready() {
  if (std::optional<std::string> stuck = Stuck())
    return {.ready = false, .reason = *std::move(stuck)};
  if (const std::optional<Error> trouble = parts_.store.trouble())
    return {.ready = false, .reason = log::Printable(trouble->detail)};
  return {.ready = true, .reason = {}};
}

void NodeReporter::NoteAnswers() {
  uint64_t count = 0;
  for (const StoreKind kind : kStoreCalls) {
    // Errors first, which are counted last: there are never more of them than calls.
    const uint64_t error_count = parts_.store.error_count(kind);
    count += parts_.store.latency(kind).Take().count() - error_count;
  }
  if (count > answer_count_) answered_at_ = parts_.clock.Now();
  answer_count_ = count;
}

bool NodeReporter::StoreIsSilent() {
  const MutexLock lock(mutex_);
  NoteAnswers();
  return !answered_at_ || parts_.clock.Now() - *answered_at_ >= kSilentAfter;
}

std::string NodeReporter::PrometheusText() {
  return MetricsText(parts_, TierSinceStart(), Ready(), started_unix_seconds_);
}

std::string NodeReporter::StatusJson() {
  NodeStatus status{.ready = Ready(), .started_unix_seconds = started_unix_seconds_};
  {
    const MutexLock lock(mutex_);
    status.history = history_;
    status.history_end_unix_seconds = history_end_unix_seconds_;
  }
  return StatusAsJson(parts_, status);
}

}  // namespace shoal
