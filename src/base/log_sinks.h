// Where lines of the log go: to standard error or syslog, as others write there, but that nobody
// waits for a reader that does not read. A line that cannot be written waits for it once, for a
// moment; then it and those behind it are lost until there is room again, which a line says.
//
// Thread-safe.
#pragma once

#include <spdlog/sinks/sink.h>

#include <memory>

namespace shoal::log {

std::shared_ptr<spdlog::sinks::sink> MakeStderrSink();
// Lines look as those of syslog(3), of the facility "daemon".
std::shared_ptr<spdlog::sinks::sink> MakeSyslogSink();

}  // namespace shoal::log
