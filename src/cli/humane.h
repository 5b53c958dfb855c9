// Numbers as people read them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shoal {

// "0 B", "999 B", "1.5 KiB", "12.0 GiB".
std::string HumaneBytes(double bytes);
// "0:07", "12:30", "3:05:00", "2 d 03:00".
std::string HumaneDuration(uint64_t seconds);
// "210 us", "4.1 ms", "1.2 s".
std::string HumaneLatency(double microseconds);
// "[#######-----]" of `width` characters, the brackets included; `share` is 0 to 1.
std::string ProgressBar(double share, size_t width);
// At most `width` columns, the middle left out as "...". For text without wide characters.
std::string Shortened(std::string_view text, size_t width);

}  // namespace shoal
