// What a node says of itself: the counters of the specification, metrics, and the state that
// the live page and `shoal top` show. Thread-safe; nothing here waits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace shoal {

// The counters of /v1/tier, since the start or the last clearing. docs/metrics.md says what
// each one counts.
struct TierCounters {
  uint64_t tier_read = 0;
  uint64_t tier_read_bytes = 0;
  uint64_t tier_read_hit = 0;
  uint64_t tier_read_hit_bytes = 0;
  uint64_t tier_read_miss = 0;
  uint64_t tier_read_miss_bytes = 0;
  uint64_t tier_direct_read = 0;
  uint64_t tier_direct_read_bytes = 0;
  uint64_t tier_root_read_source = 0;
  uint64_t tier_root_read_source_bytes = 0;
};

// With their names, in the specification's order.
inline constexpr std::pair<std::string_view, uint64_t TierCounters::*> kTierCounters[] = {
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

struct Readiness {
  bool ready = false;
  std::string reason;  // for people; empty when ready
};

class NodeReport {
 public:
  virtual ~NodeReport() = default;

  virtual TierCounters Tier() = 0;
  // Of the counters that Tier answers only: metrics for machines never go back.
  virtual void ClearTier() = 0;

  // The text format of Prometheus, version 0.0.4.
  virtual std::string PrometheusText() = 0;
  // One JSON object: mount, version, tiers, rates over the last ten minutes, recent errors.
  // docs/operations.md names its members.
  virtual std::string StatusJson() = 0;
  // Why this process does not serve its mount as it should, for people; nothing if it does.
  // Whatever the store does is no reason.
  virtual std::optional<std::string> Stuck() = 0;
  // Not stuck; mounted, with credentials that were not refused and a store that answers.
  virtual Readiness Ready() = 0;
  // The store has answered nothing for some seconds, perhaps for want of a question: what Ready
  // says of it may be over.
  virtual bool StoreIsSilent() = 0;
};

}  // namespace shoal
