// What the embedded origin was asked and what it answered, as /__origin/stats shows it:
//
//   {"requests": {"Get": 3, "List": 1, ...}, "bytes": {"Get": 4096, ...}, bodies sent
//    "refused": {"NoSuchKey": 1}, "request_count": 4, "bytes_sent": 4096,
//    "bytes_received": 0, "in_flight": 0, "in_flight_peak": 2, "faults_injected": 0,
//    "connections": 1}
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>

#include "base/mutex.h"
#include "testing/origin_operation.h"

namespace shoal::embedded {

// Thread-safe. Requests to /__origin/ are not counted.
class Statistics {
 public:
  void RequestStarted(Operation operation);
  void RequestEnded(Operation operation, uint64_t body_bytes_sent);
  void Refused(const std::string& code);
  void Received(uint64_t bytes) { bytes_received_ += bytes; }
  void FaultInjected() { ++faults_injected_; }
  void ConnectionOpened() { ++connections_; }
  void ConnectionClosed() { --connections_; }

  [[nodiscard]] uint64_t Requests(Operation operation) const {
    return requests_[static_cast<size_t>(operation)];
  }
  [[nodiscard]] std::string Print() const;
  // In-flight requests and open connections stay what they are.
  void Reset();

 private:
  std::array<std::atomic<uint64_t>, kOperationCount> requests_{};
  std::array<std::atomic<uint64_t>, kOperationCount> bytes_{};
  std::atomic<uint64_t> bytes_received_{0};
  std::atomic<uint64_t> in_flight_{0};
  std::atomic<uint64_t> in_flight_peak_{0};
  std::atomic<uint64_t> faults_injected_{0};
  std::atomic<uint64_t> connections_{0};
  mutable Mutex mutex_;
  std::map<std::string, uint64_t> refused_ GUARDED_BY(mutex_);
};

}  // namespace shoal::embedded
