// Trouble on demand: latency, rate limits and scripted faults of the embedded origin.
//
// As JSON, at start or at any time by POST to /__origin/config. Members that are not named
// keep their value; times are milliseconds, rates bytes a second, 0 means none:
//
//   {"latency_ms": 20,                              before the first byte of each answer
//    "bytes_per_second": 500000000,                 of all connections together
//    "bytes_per_second_per_connection": 0,
//    "seed": 1,                                     of the chances below
//    "faults": [{"match": {"op": "Get", "key_prefix": "logs/"},   either may be absent
//                "kind": "cut_after_bytes", "bytes": 1000,
//                "probability": 0.1, "count": 3}]}                default: always, for ever
//
// Kinds: status503, status429 (with "retry_after", seconds), status500, cut_after_bytes
// (the body ends after "bytes"), wrong_bytes (one byte of an object's is another, and the answer
// as right as it can be), wrong_etag, wrong_content_range, mangled_list, hang (no answer until the
// client goes away), reset. The first rule that applies wins. "op" is a name of origin_operation.h.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "testing/origin_operation.h"

namespace shoal::embedded {

enum class FaultKind : uint8_t {
  kStatus503,
  kStatus429,
  kStatus500,
  kCutAfterBytes,
  kWrongBytes,
  kWrongEtag,
  kWrongContentRange,
  kMangledList,
  kHang,
  kReset,
};

struct Fault {
  FaultKind kind = FaultKind::kStatus503;
  uint64_t bytes = 0;                // kCutAfterBytes
  uint64_t retry_after_seconds = 0;  // kStatus429
};

struct FaultRule {
  std::optional<Operation> operation;  // empty: any
  std::string key_prefix;
  Fault fault;
  double probability = 1;
  std::optional<uint64_t> count;  // how many times still; empty: for ever
};

struct TroubleConfig {
  uint64_t latency_ms = 0;
  uint64_t bytes_per_second = 0;
  uint64_t bytes_per_second_per_connection = 0;
  uint64_t seed = 1;
  std::vector<FaultRule> faults;
};

// Spreads bytes over time at a steady rate. Every piece has its own moment, counted from
// the one before and not from when the caller woke up, so late wake-ups do not add up.
// Thread-safe.
class Pacer {
 public:
  // The moment at which `bytes` may go out. Somebody who was idle, or late, catches up on
  // at most kCatchUp.
  Instant Reserve(Instant now, uint64_t bytes, uint64_t bytes_per_second);
  static constexpr Duration kCatchUp = std::chrono::milliseconds(20);

 private:
  Mutex mutex_;
  Instant next_ GUARDED_BY(mutex_);
};

// Thread-safe.
class Trouble {
 public:
  // Applies `text` (see above) over what is in force, or changes nothing. kInvalid says why.
  Result<> Apply(std::string_view text);
  [[nodiscard]] std::string Print() const;

  [[nodiscard]] uint64_t latency_ms() const;
  // The fault that hits this request, used up by being returned.
  std::optional<Fault> Pick(Operation operation, std::string_view key);
  // Rates now in force: of all connections, and of each.
  struct Rates {
    uint64_t total = 0;
    uint64_t per_connection = 0;
  };
  [[nodiscard]] Rates rates() const;
  Pacer& total_pacer() { return total_pacer_; }

 private:
  mutable Mutex mutex_;
  TroubleConfig config_ GUARDED_BY(mutex_);
  std::mt19937_64 random_ GUARDED_BY(mutex_){1};
  Pacer total_pacer_;
};

}  // namespace shoal::embedded
