#include "testing/origin_statistics.h"

#include <nlohmann/json.hpp>

namespace shoal::embedded {

void Statistics::RequestStarted(Operation operation) {
  ++requests_[static_cast<size_t>(operation)];
  const uint64_t now = ++in_flight_;
  uint64_t peak = in_flight_peak_;
  while (now > peak && !in_flight_peak_.compare_exchange_weak(peak, now)) {
  }
}

void Statistics::RequestEnded(Operation operation, uint64_t body_bytes_sent) {
  bytes_[static_cast<size_t>(operation)] += body_bytes_sent;
  --in_flight_;
}

void Statistics::Refused(const std::string& code) {
  const MutexLock lock(mutex_);
  ++refused_[code];
}

std::string Statistics::Print() const {
  nlohmann::json object;
  uint64_t request_count = 0;
  uint64_t bytes_sent = 0;
  for (size_t i = 0; i < kOperationCount; ++i) {
    object["requests"][std::string(kOperationNames[i].name)] = requests_[i].load();
    object["bytes"][std::string(kOperationNames[i].name)] = bytes_[i].load();
    request_count += requests_[i];
    bytes_sent += bytes_[i];
  }
  object["request_count"] = request_count;
  object["bytes_sent"] = bytes_sent;
  object["bytes_received"] = bytes_received_.load();
  object["in_flight"] = in_flight_.load();
  object["in_flight_peak"] = in_flight_peak_.load();
  object["faults_injected"] = faults_injected_.load();
  object["connections"] = connections_.load();
  object["refused"] = nlohmann::json::object();
  const MutexLock lock(mutex_);
  for (const auto& [code, count] : refused_) object["refused"][code] = count;
  return object.dump(2) + "\n";
}

void Statistics::Reset() {
  for (auto& count : requests_) count = 0;
  for (auto& count : bytes_) count = 0;
  bytes_received_ = 0;
  in_flight_peak_ = in_flight_.load();
  faults_injected_ = 0;
  const MutexLock lock(mutex_);
  refused_.clear();
}

}  // namespace shoal::embedded
