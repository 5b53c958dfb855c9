// The process's log: one line an event, to stderr in the foreground and to
// syslog (which journald collects) in the background.
//
//   log::Warn("lost connection to {}: {}", host, reason);
//
// Logging is the one thing that is process-wide rather than handed down. Text
// that comes from a bucket goes through Printable first. Thread-safe.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace shoal::log {

enum class Target : uint8_t { kStderr, kSyslog };

// `level`: trace, debug, info, warning, error. kInvalid, naming them, if it is another.
Result<> Start(Target target, std::string_view level);

// kInvalid as Start.
Result<> CheckLevel(std::string_view level);

// From the next event on. kInvalid as Start.
Result<> SetLevel(std::string_view level);

// What the functions below come to; they are what callers use.
enum class Level : uint8_t { kDebug, kInfo, kWarning, kError };
void Write(Level level, fmt::string_view format, fmt::format_args arguments);

// The last warnings and errors, the oldest first, whatever the level. Alike ones are one, of
// which this is the last, so a flood of one kind displaces no other; at most 100. Alike are
// those that differ in no more than what is in single quotes, and in words with a digit (times,
// counts, ids of requests), but for paths and an HTTP status.
struct Event {
  int64_t unix_millis = 0;
  Level level = Level::kWarning;
  std::string text;
  uint64_t count = 1;
};
[[nodiscard]] std::vector<Event> RecentTrouble();

// Control bytes and invalid UTF-8 as \xNN, so a key cannot forge a line or move a cursor.
[[nodiscard]] std::string Printable(std::string_view text);

template <class... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kDebug, format, fmt::make_format_args(args...));
}
template <class... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kInfo, format, fmt::make_format_args(args...));
}
template <class... Args>
void Warn(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kWarning, format, fmt::make_format_args(args...));
}
template <class... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kError, format, fmt::make_format_args(args...));
}

}  // namespace shoal::log
