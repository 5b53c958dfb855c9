#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

namespace shoal::log {

Result<> Start(Target target, std::string_view level) {
  const spdlog::level::level_enum parsed = spdlog::level::from_str(std::string(level));
  if (parsed == spdlog::level::off)
    return Fail(Errc::kInvalid, "log level '" + std::string(level) +
                                    "' is not one of trace, debug, info, warning, error");
  std::shared_ptr<spdlog::logger> logger;
  if (target == Target::kSyslog) {
    logger = std::make_shared<spdlog::logger>(
        "shoal",
        std::make_shared<spdlog::sinks::syslog_sink_mt>("shoal", LOG_PID, LOG_DAEMON, true));
    logger->set_pattern("%v");
  } else {
    logger = std::make_shared<spdlog::logger>("shoal",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
  }
  logger->set_level(parsed);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

void Write(Level level, fmt::string_view format, fmt::format_args arguments) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                   spdlog::level::warn, spdlog::level::err};
  const spdlog::level::level_enum as_level = kLevels[static_cast<size_t>(level)];
  spdlog::logger& logger = *spdlog::default_logger_raw();
  if (logger.should_log(as_level)) logger.log(as_level, fmt::vformat(format, arguments));
}

namespace {

// The length of the valid UTF-8 sequence at the start of `text`; 0 if there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80         ? 1
                        : byte(0) >> 5 == 0x6  ? 2
                        : byte(0) >> 4 == 0xE  ? 3
                        : byte(0) >> 3 == 0x1E ? 4
                                               : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if (byte(i) >> 6 != 0x2) return 0;
  return length;
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
