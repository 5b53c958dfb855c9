#include "base/log_sinks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <mutex>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"

namespace shoal::log {
namespace {

constexpr int kWaitMaxMs = 100;

class BoundedSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  // False: there is no room, and nobody made any within `wait_ms`. What fails in another way is
  // nobody's to mend, and counts as written.
  virtual bool Write(spdlog::level::level_enum level, std::string_view line, int wait_ms) = 0;

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (lost_count_ > 0) {
      const std::string text = fmt::format(
          "{} lines of the log are missing here: nobody took them in time", lost_count_);
      if (WriteLine({message.logger_name, spdlog::level::warn, text}, 0)) lost_count_ = 0;
    }
    if (lost_count_ > 0 || !WriteLine(message, kWaitMaxMs)) ++lost_count_;
  }

  void flush_() override {}

  bool WriteLine(const spdlog::details::log_msg& message, int wait_ms) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    return Write(message.level, {line.data(), line.size()}, wait_ms);
  }

  uint64_t lost_count_ = 0;
};

bool HasRoom(int fd, int wait_ms) {
  pollfd room{fd, POLLOUT, 0};
  return poll(&room, 1, wait_ms) != 0;
}

class StderrSink final : public BoundedSink {
 public:
  // A terminal may have room for a byte, and no more. An open file of our own can be told not to
  // wait, without a word to those who share the other.
  StderrSink()
      : terminal_(isatty(STDERR_FILENO)
                      ? open("/proc/self/fd/2", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
                      : -1) {}

 private:
  bool Write(spdlog::level::level_enum /*level*/, std::string_view line, int wait_ms) override {
    while (!line.empty()) {
      const int fd = terminal_.valid() ? terminal_.get() : STDERR_FILENO;
      if (!HasRoom(fd, wait_ms)) return false;
      // A pipe that has room has it for so much.
      const ssize_t written = write(fd, line.data(), std::min<size_t>(line.size(), PIPE_BUF));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && errno == EAGAIN) return false;
      if (written <= 0) return true;
      line.remove_prefix(static_cast<size_t>(written));
    }
    return true;
  }

  const FileDescriptor terminal_;
};

int PriorityOf(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return LOG_DEBUG;
    case spdlog::level::info:
      return LOG_INFO;
    case spdlog::level::warn:
      return LOG_WARNING;
    default:
      return LOG_ERR;
  }
}

// Not by syslog(3), which waits for as long as it takes.
class SyslogSink final : public BoundedSink {
  bool Write(spdlog::level::level_enum level, std::string_view line, int wait_ms) override {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    char time[32];
    strftime(time, sizeof(time), "%h %e %T", &local);
    const std::string message = fmt::format("<{}>{} shoal[{}]: {}", LOG_DAEMON | PriorityOf(level),
                                            static_cast<const char*>(time), getpid(), line);
    // Whoever receives may have been started anew.
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (!end_.valid()) Connect();
      if (!end_.valid() || Send(message)) return true;
      if (errno == EAGAIN) return HasRoom(end_.get(), wait_ms) && Send(message);
      end_ = {};
    }
    return true;
  }

  bool Send(const std::string& message) const {
    // In a stream a NUL ends each.
    const size_t size = message.size() + (is_stream_ ? 1 : 0);
    return send(end_.get(), message.c_str(), size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  }

  void Connect() {
    const sockaddr_un address{.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
    for (const int kind : {SOCK_DGRAM, SOCK_STREAM}) {
      FileDescriptor end(socket(AF_UNIX, kind | SOCK_CLOEXEC, 0));
      if (end.valid() &&
          connect(end.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        end_ = std::move(end);
        is_stream_ = kind == SOCK_STREAM;
        return;
      }
      if (errno != EPROTOTYPE) return;
    }
  }

  FileDescriptor end_;
  bool is_stream_ = false;
};

}  // namespace

std::shared_ptr<spdlog::sinks::sink> MakeStderrSink() {
  return std::make_shared<StderrSink>();
}

std::shared_ptr<spdlog::sinks::sink> MakeSyslogSink() {
  return std::make_shared<SyslogSink>();
}

}  // namespace shoal::log
