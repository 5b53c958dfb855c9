#include "cli/humane.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace shoal {

std::string HumaneBytes(double bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (bytes >= 1023.95 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string HumaneDuration(uint64_t seconds) {
  const uint64_t minutes = seconds / 60;
  const uint64_t hours = minutes / 60;
  if (hours >= 24) return fmt::format("{} d {:02}:{:02}", hours / 24, hours % 24, minutes % 60);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes % 60, seconds % 60);
  return fmt::format("{}:{:02}", minutes, seconds % 60);
}

std::string HumaneLatency(double microseconds) {
  if (microseconds < 1000) return fmt::format("{:.0f} us", microseconds);
  if (microseconds < 1'000'000) return fmt::format("{:.1f} ms", microseconds / 1000);
  return fmt::format("{:.1f} s", microseconds / 1'000'000);
}

std::string ProgressBar(double share, size_t width) {
  const size_t room = std::max<size_t>(width, 3) - 2;
  const auto done = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(room));
  return "[" + std::string(done, '#') + std::string(room - done, '-') + "]";
}

std::string Shortened(std::string_view text, size_t width) {
  constexpr std::string_view kGap = "...";
  if (text.size() <= width) return std::string(text);
  if (width <= kGap.size()) return std::string(text.substr(0, width));
  const size_t room = width - kGap.size();
  const size_t head = room / 2;
  return std::string(text.substr(0, head)) + std::string(kGap) +
         std::string(text.substr(text.size() - (room - head)));
}

}  // namespace shoal
