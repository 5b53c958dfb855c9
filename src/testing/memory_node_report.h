// A NodeReport that says what a test wrote into it.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "control/node_report.h"

namespace shoal {

// Thread-safe.
class MemoryNodeReport final : public NodeReport {
 public:
  TierCounters Tier() override {
    const MutexLock lock(mutex_);
    return tier_;
  }
  void ClearTier() override { SetTier({}); }
  std::string PrometheusText() override {
    return Ready().ready ? "shoal_ready 1\n" : "shoal_ready 0\n";
  }
  std::string StatusJson() override {
    const MutexLock lock(mutex_);
    return status_json_;
  }
  std::optional<std::string> Stuck() override {
    const MutexLock lock(mutex_);
    return stuck_;
  }
  Readiness Ready() override {
    const MutexLock lock(mutex_);
    return readiness_;
  }

  bool StoreIsSilent() override {
    const MutexLock lock(mutex_);
    return silent_;
  }

  void SetTier(const TierCounters& tier) {
    const MutexLock lock(mutex_);
    tier_ = tier;
  }
  void SetReady(Readiness readiness) {
    const MutexLock lock(mutex_);
    readiness_ = std::move(readiness);
  }
  void SetStuck(std::optional<std::string> reason) {
    const MutexLock lock(mutex_);
    stuck_ = std::move(reason);
  }
  void SetSilent(bool silent) {
    const MutexLock lock(mutex_);
    silent_ = silent;
  }
  void SetStatusJson(std::string json) {
    const MutexLock lock(mutex_);
    status_json_ = std::move(json);
  }

 private:
  Mutex mutex_;
  TierCounters tier_ GUARDED_BY(mutex_);
  Readiness readiness_ GUARDED_BY(mutex_){.ready = true, .reason = ""};
  std::optional<std::string> stuck_ GUARDED_BY(mutex_);
  bool silent_ GUARDED_BY(mutex_) = false;
  std::string status_json_ GUARDED_BY(mutex_) = "{}";
};

}  // namespace shoal
