// How far watched warm-up tasks are, as lines for a terminal or for a log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/clock.h"

namespace shoal {

// One moment of a task, as the admin port tells it.
struct WarmupMoment {
  std::string path;
  std::string status;
  uint64_t completed_bytes = 0;
  uint64_t total_bytes = 0;
  std::string error_message;
};

// Of one task. Pure: time comes with each moment.
class WarmupProgress {
 public:
  void Add(const WarmupMoment& moment, Instant now);

  // Over the last seconds; 0 until two moments differ.
  [[nodiscard]] double bytes_per_second() const;
  // Empty: not known, or done.
  [[nodiscard]] std::optional<uint64_t> seconds_left() const;
  [[nodiscard]] bool ended() const { return moment_.status != "running"; }
  [[nodiscard]] const WarmupMoment& moment() const { return moment_; }

  // "data/  [####----]  52%  1.2 GiB of 2.3 GiB  512.0 MiB/s  0:02 left", in `width` columns.
  [[nodiscard]] std::string Line(size_t width) const;

 private:
  struct Mark {
    Instant at;
    uint64_t completed_bytes;
  };
  WarmupMoment moment_;
  std::deque<Mark> marks_;
};

}  // namespace shoal
