#include "control/node_history.h"

namespace shoal {

void NodeHistory::Add(const NodeTotals& totals) {
  if (!totals_.empty()) {
    const NodeTotals& before = totals_.back();
    Second second;
    for (size_t i = 0; i < kPlaceCount; ++i)
      second.place_bytes[i] = totals.place_bytes[i] - before.place_bytes[i];
    second.passed_open_count = totals.passed_open_count - before.passed_open_count;
    second.passed_bytes = totals.passed_bytes - before.passed_bytes;
    second.fetched_bytes = totals.fetched_bytes - before.fetched_bytes;
    second.cpu_cores = totals.cpu_seconds - before.cpu_seconds;
    for (size_t i = 0; i < kOperationCount; ++i)
      second.error_count += totals.operations[i].error_count - before.operations[i].error_count;
    const Histogram::Snapshot reads =
        totals.operations[kReadOperation].latency.Since(before.operations[kReadOperation].latency);
    second.read_count = reads.count();
    if (second.read_count > 0) {
      second.read_p50_seconds = reads.Quantile(0.5);
      second.read_p99_seconds = reads.Quantile(0.99);
    }
    seconds_.push_back(second);
    if (seconds_.size() > kSecondCountMax) seconds_.pop_front();
  }
  totals_.push_back(totals);
  if (totals_.size() > kOperationSecondCount + 1) totals_.pop_front();
}

std::array<NodeTotals::Operation, kOperationCount> NodeHistory::LastMinute() const {
  std::array<NodeTotals::Operation, kOperationCount> minute;
  if (totals_.empty()) return minute;
  const NodeTotals& first = totals_.front();
  const NodeTotals& last = totals_.back();
  for (size_t i = 0; i < kOperationCount; ++i) {
    minute[i].latency = last.operations[i].latency.Since(first.operations[i].latency);
    minute[i].error_count = last.operations[i].error_count - first.operations[i].error_count;
  }
  return minute;
}

}  // namespace shoal
