#include "cli/warmup_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/log.h"
#include "cli/humane.h"

namespace shoal {
namespace {

// What the rate is taken over: long enough not to jump, short enough to follow.
constexpr Duration kRateOver = std::chrono::seconds(5);
constexpr size_t kBarWidth = 24;

double SecondsOf(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void WarmupProgress::Add(const WarmupMoment& moment, Instant now) {
  moment_ = moment;
  marks_.push_back({now, moment.completed_bytes});
  while (marks_.size() > 2 && now - marks_[1].at >= kRateOver) marks_.pop_front();
}

double WarmupProgress::bytes_per_second() const {
  if (marks_.size() < 2) return 0;
  const double seconds = SecondsOf(marks_.back().at - marks_.front().at);
  if (seconds <= 0 || marks_.back().completed_bytes < marks_.front().completed_bytes) return 0;
  return static_cast<double>(marks_.back().completed_bytes - marks_.front().completed_bytes) /
         seconds;
}

std::optional<uint64_t> WarmupProgress::seconds_left() const {
  const double rate = bytes_per_second();
  if (ended() || rate <= 0 || moment_.total_bytes < moment_.completed_bytes) return std::nullopt;
  const auto left = static_cast<double>(moment_.total_bytes - moment_.completed_bytes);
  return static_cast<uint64_t>(std::round(left / rate));
}

std::string WarmupProgress::Line(size_t width) const {
  const std::string name = moment_.path.empty() ? "/" : log::Printable(moment_.path);
  std::string tail;
  if (moment_.status == "failed") {
    tail = "failed: " + log::Printable(moment_.error_message);
  } else if (ended()) {
    tail = fmt::format("{}, {}", moment_.status,
                       HumaneBytes(static_cast<double>(moment_.completed_bytes)));
  } else if (moment_.total_bytes == 0) {
    tail = "listing";
  } else {
    const double share =
        static_cast<double>(moment_.completed_bytes) / static_cast<double>(moment_.total_bytes);
    const auto left = seconds_left();
    tail = fmt::format(
        "{} {:3.0f}%  {} of {}  {}/s{}", ProgressBar(share, kBarWidth), std::min(share, 1.0) * 100,
        HumaneBytes(static_cast<double>(moment_.completed_bytes)),
        HumaneBytes(static_cast<double>(moment_.total_bytes)), HumaneBytes(bytes_per_second()),
        left ? "  " + HumaneDuration(*left) + " left" : "");
  }
  const size_t name_width = width > tail.size() + 2 ? width - tail.size() - 2 : 0;
  std::string line = Shortened(name, std::max<size_t>(name_width, 12)) + "  " + tail;
  return line;
}

}  // namespace shoal
