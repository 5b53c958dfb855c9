#include "read/window_controller.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr uint64_t kFetchCountWanted = 16;
constexpr double kIntervalSecondsMin = 0.002;  // shorter ones measure the scheduler

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void WindowController::OnServed(uint64_t bytes, bool waited) {
  served_bytes_ += bytes;
  if (!waited) return;
  uint64_t next_bytes = window_bytes_ * 2;
  if (window_bytes_ < options_.unproven_bytes) {
    next_bytes = std::min(next_bytes, options_.unproven_bytes);
  } else {
    if (served_bytes_ < window_bytes_ / 2) return;
    next_bytes = std::min({next_bytes, EnoughBytes(), options_.max_bytes});
    if (next_bytes < window_bytes_ + window_bytes_ / 8) return;
  }
  window_bytes_ = next_bytes;
  served_bytes_ = 0;
}

void WindowController::OnArrived(uint64_t bytes, Instant now) {
  if (!interval_open_) {  // these bytes came before it
    interval_open_ = true;
    interval_began_ = now;
    return;
  }
  interval_bytes_ += bytes;
  const double seconds = Seconds(now - interval_began_);
  if (seconds < std::max(FetchSeconds(), kIntervalSecondsMin)) return;
  rates_[rate_index_++ % rates_.size()] = static_cast<double>(interval_bytes_) / seconds;
  interval_began_ = now;
  interval_bytes_ = 0;
}

void WindowController::OnFetched(uint64_t bytes, Duration to_first_byte, Duration to_last_byte) {
  const double first_byte_seconds = Seconds(to_first_byte);
  first_byte_seconds_min_ = connection_rate_max_ == 0
                                ? first_byte_seconds
                                : std::min(first_byte_seconds_min_, first_byte_seconds);
  const double seconds = std::max(Seconds(to_last_byte), 1e-6);
  connection_rate_max_ = std::max(connection_rate_max_, static_cast<double>(bytes) / seconds);
}

void WindowController::OnSetback() {
  // Once for each window: many segments go at a time, for one reason.
  if (served_bytes_ < window_bytes_) return;
  window_bytes_ = std::max(window_bytes_ / 2, options_.start_bytes);
  served_bytes_ = 0;
}

uint64_t WindowController::fetch_bytes() const {
  if (window_bytes_ < options_.unproven_bytes) return kMiB;
  // Where one connection carries half of all that comes, the origin is near and more of them
  // at once only cost switches between their threads.
  const double rate = BestRate();
  if (window_bytes_ < 2 * options_.unproven_bytes && rate > 0 && 2 * connection_rate_max_ >= rate)
    return window_bytes_ / 2 / kMiB * kMiB;
  return OneOfManyBytes();
}

uint64_t WindowController::OneOfManyBytes() const {
  const uint64_t bytes =
      std::clamp(window_bytes_ / kFetchCountWanted / kMiB, uint64_t{2}, uint64_t{8}) * kMiB;
  return std::max(bytes, options_.fetch_bytes_min);
}

double WindowController::FetchSeconds() const {
  if (connection_rate_max_ == 0) return 0;
  return first_byte_seconds_min_ + static_cast<double>(OneOfManyBytes()) / connection_rate_max_;
}

double WindowController::BestRate() const {
  return *std::max_element(rates_.begin(), rates_.end());
}

uint64_t WindowController::EnoughBytes() const {
  return static_cast<uint64_t>(2 * BestRate() * FetchSeconds());
}

}  // namespace shoal
