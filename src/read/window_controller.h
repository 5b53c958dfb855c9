// How far ahead of a sequential reader to fetch: enough to keep the way to the origin
// full, no more.
//
// Too small a window leaves a distant origin idle between requests. Too large a one wastes
// memory others could use, and near the origin it is slower as well: bytes that wait leave the
// CPU's cache before they are read. Enough is what is under way on a full link, its rate
// times how long a fetch takes on an idle one; twice that, so that a link not yet full
// shows more. Both are measured: the rate as the best of the last few, the time from the
// quickest first byte and the fastest connection seen, because those of a full link say how
// much was asked of it rather than how far away it is.
//
//   - It grows only when the reader had to wait, and at most doubles with each window's
//     worth of bytes: a slow reader is never given much.
//   - Up to `unproven_bytes` it doubles at every wait, without asking what is enough.
//     That costs little and saves the first round trips.
//
// A function of what it is told: no clock, no lock. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/clock.h"

namespace shoal {

struct WindowOptions {
  uint64_t start_bytes = 1 * kMiB;
  uint64_t unproven_bytes = 8 * kMiB;
  uint64_t max_bytes = 256 * kMiB;
  uint64_t fetch_bytes_min = 1 * kMiB;  // no GET will be smaller, whatever fetch_bytes() says
};

class WindowController {
 public:
  explicit WindowController(const WindowOptions& options = {})
      : options_(options), window_bytes_(options.start_bytes) {}

  // A read of the stream was answered. `waited`: its bytes were not there when it came.
  void OnServed(uint64_t bytes, bool waited);
  // Bytes of the stream came in.
  void OnArrived(uint64_t bytes, Instant now);
  // A fetch for it ended well: how long to the first byte, and from there to the last.
  void OnFetched(uint64_t bytes, Duration to_first_byte, Duration to_last_byte);
  // Bytes fetched ahead went unread for want of memory, or the origin asks for less.
  void OnSetback();

  [[nodiscard]] uint64_t window_bytes() const { return window_bytes_; }
  // How large each GET should be: small enough that many run at once, large enough that
  // what a request costs does not show. Whole MiB.
  [[nodiscard]] uint64_t fetch_bytes() const;

 private:
  [[nodiscard]] uint64_t OneOfManyBytes() const;  // a GET where many run at once
  [[nodiscard]] double FetchSeconds() const;      // of one such on an idle link
  [[nodiscard]] double BestRate() const;          // bytes a second; 0 before it is known
  [[nodiscard]] uint64_t EnoughBytes() const;

  const WindowOptions options_;
  uint64_t window_bytes_;
  uint64_t served_bytes_ = 0;  // since the window last changed

  double first_byte_seconds_min_ = 0;  // of fetches seen; meaningless while rate_max is 0
  double connection_rate_max_ = 0;     // bytes a second

  // Rates of arrival over intervals of about one fetch, the oldest overwritten.
  std::array<double, 8> rates_{};
  size_t rate_index_ = 0;
  Instant interval_began_{};
  uint64_t interval_bytes_ = 0;
  bool interval_open_ = false;
};

}  // namespace shoal
