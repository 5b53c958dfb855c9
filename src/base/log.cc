#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

#include "base/log_sinks.h"
#include "base/mutex.h"

namespace shoal::log {
namespace {

constexpr size_t kRecentCountMax = 100;
constexpr std::string_view kBetweenWords = " ,;:()";

// The length of the text in single quotes that `text` begins with, quotes included; 0 if it does
// not. An apostrophe in a word is none, so a quote ends where a word does.
size_t QuotedLength(std::string_view text) {
  if (!text.starts_with('\'')) return 0;
  for (size_t i = 1; i < text.size(); ++i)
    if (text[i] == '\'' &&
        (i + 1 == text.size() || kBetweenWords.find(text[i + 1]) != std::string_view::npos))
      return i + 1;
  return 0;
}

// What alike events have in common.
std::string Likeness(std::string_view text) {
  std::string out;
  std::string_view word;
  while (!text.empty()) {
    if (const size_t quoted = QuotedLength(text); quoted > 0) {
      out += "''";
      text.remove_prefix(quoted);
      continue;
    }
    if (kBetweenWords.find(text[0]) != std::string_view::npos) {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    const bool is_status = word == "HTTP";
    word = text.substr(0, text.find_first_of(kBetweenWords));
    const bool has_digit = std::ranges::any_of(word, [](char c) { return c >= '0' && c <= '9'; });
    out += has_digit && !is_status && !word.starts_with('/') ? "#" : word;
    text.remove_prefix(word.size());
  }
  return out;
}

class RecentEvents {
 public:
  void Add(Level level, const std::string& text) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    Event event{.unix_millis = std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                .level = level,
                .text = text};
    const std::string likeness = Likeness(text);
    const MutexLock lock(mutex_);
    const auto alike = std::ranges::find(kept_, likeness, &Kept::likeness);
    if (alike != kept_.end()) {
      event.count += alike->event.count;
      kept_.erase(alike);
    } else if (kept_.size() == kRecentCountMax) {
      kept_.pop_front();
    }
    kept_.push_back({likeness, std::move(event)});
  }

  std::vector<Event> All() {
    const MutexLock lock(mutex_);
    std::vector<Event> events;
    for (const Kept& kept : kept_) events.push_back(kept.event);
    return events;
  }

 private:
  struct Kept {
    std::string likeness;
    Event event;
  };
  Mutex mutex_;
  std::deque<Kept> kept_ GUARDED_BY(mutex_);  // the newest last
};

RecentEvents& Recent() {
  static RecentEvents events;
  return events;
}

Result<spdlog::level::level_enum> ParseLevel(std::string_view level) {
  const spdlog::level::level_enum parsed = spdlog::level::from_str(std::string(level));
  if (parsed == spdlog::level::off)
    return Fail(Errc::kInvalid, "log level '" + Printable(level) +
                                    "' is not one of trace, debug, info, warning, error");
  return parsed;
}

}  // namespace

Result<> Start(Target target, std::string_view level) {
  ASSIGN_OR_RETURN(const spdlog::level::level_enum parsed, ParseLevel(level));
  std::shared_ptr<spdlog::logger> logger;
  if (target == Target::kSyslog) {
    logger = std::make_shared<spdlog::logger>("shoal", MakeSyslogSink());
    logger->set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::local, ""));
  } else {
    logger = std::make_shared<spdlog::logger>("shoal", MakeStderrSink());
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
  }
  logger->set_level(parsed);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

Result<> CheckLevel(std::string_view level) {
  RETURN_IF_ERROR(ParseLevel(level));
  return {};
}

Result<> SetLevel(std::string_view level) {
  ASSIGN_OR_RETURN(const spdlog::level::level_enum parsed, ParseLevel(level));
  spdlog::default_logger_raw()->set_level(parsed);
  return {};
}

std::vector<Event> RecentTrouble() {
  return Recent().All();
}

void Write(Level level, fmt::string_view format, fmt::format_args arguments) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn, spdlog::level::err};
  const spdlog::level::level_enum as_level = kLevels[static_cast<size_t>(level)];
  spdlog::logger& logger = *spdlog::default_logger_raw();
  const bool is_trouble = as_level >= spdlog::level::warn;
  if (!logger.should_log(as_level) && !is_trouble) return;
  const std::string text = fmt::vformat(format, arguments);
  if (is_trouble) Recent().Add(level, text);
  logger.log(as_level, text);
}

namespace {

// The length of the valid UTF-8 sequence at the start of `text`; 0 if there is none. As JSON
// and terminals judge it: no code point in more bytes than it needs, no surrogate.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if (byte(i) >> 6 != 0x2) return 0;
  const unsigned second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second >= 0xA0;
  const bool beyond = first == 0xF4 && second >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    size_t length = Utf8Length(text);
    // C1 controls (U+0080 to U+009F) move cursors as well as C0 ones do.
    const bool control =
        first < 0x20 || first == 0x7F ||
        (length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
    if (length == 0 || control) {
      if (length == 0) length = 1;
      for (const char c : text.substr(0, length))
        out += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace shoal::log
