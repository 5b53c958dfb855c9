// The NodeReport of a mount: reads the counters of every room when asked, and once a second
// for the history.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "control/node_history.h"
#include "control/node_parts.h"
#include "control/node_report.h"

namespace shoal {

class NodeReporter final : public NodeReport {
 public:
  explicit NodeReporter(const NodeParts& parts);
  ~NodeReporter() override;
  NodeReporter(const NodeReporter&) = delete;
  NodeReporter& operator=(const NodeReporter&) = delete;

  TierCounters Tier() override;
  void ClearTier() override;
  std::string PrometheusText() override;
  std::string StatusJson() override;
  std::optional<std::string> Stuck() override;
  Readiness Ready() override;
  bool StoreIsSilent() override;

 private:
  [[nodiscard]] TierCounters TierSinceStart() const;
  [[nodiscard]] NodeTotals Totals() const;
  void Sample();
  void NoteAnswers() REQUIRES(mutex_);

  const NodeParts parts_;
  const int64_t started_unix_seconds_;

  Mutex mutex_;
  CondVar stop_came_;
  TierCounters cleared_at_ GUARDED_BY(mutex_);
  NodeHistory history_ GUARDED_BY(mutex_);
  int64_t history_end_unix_seconds_ GUARDED_BY(mutex_) = 0;
  uint64_t answer_count_ GUARDED_BY(mutex_) = 0;  // of the store
  std::optional<Instant> answered_at_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;

  std::thread sampler_;  // last: it uses all of the above
};

}  // namespace shoal
