#pragma once

#include <atomic>

#include "base/clock.h"

namespace shoal {

// The system's time plus what a test adds: for code that really waits, whose ages a test
// wants to pass at once. Thread-safe.
class AdjustableClock final : public Clock {
 public:
  [[nodiscard]] Instant Now() const override { return system_.Now() + Duration(added_ns_.load()); }
  [[nodiscard]] int64_t UnixSeconds() const override {
    return system_.UnixSeconds() + added_ns_.load() / 1'000'000'000;
  }
  void Advance(Duration by) { added_ns_ += by.count(); }

 private:
  SystemClock system_;
  std::atomic<int64_t> added_ns_{0};
};

}  // namespace shoal
