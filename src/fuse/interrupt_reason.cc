#include "fuse/interrupt_reason.h"

#include <charconv>
#include <csignal>
#include <optional>
#include <string>

#include "base/read_text.h"

namespace shoal {
namespace {

constexpr uint64_t BitOf(int signal) {
  return uint64_t{1} << (signal - 1);
}

constexpr uint64_t kClocks = BitOf(SIGALRM) | BitOf(SIGVTALRM) | BitOf(SIGPROF) | BitOf(SIGURG) |
                             BitOf(SIGCHLD) | BitOf(SIGIO) | BitOf(SIGWINCH);
constexpr uint64_t kPauses =
    BitOf(SIGSTOP) | BitOf(SIGTSTP) | BitOf(SIGTTIN) | BitOf(SIGTTOU) | BitOf(SIGCONT);

// The hexadecimal number behind `name`.
std::optional<uint64_t> Field(std::string_view status, std::string_view name) {
  const size_t at = status.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t begin = status.find_first_not_of(" \t", at + name.size());
  if (begin == std::string_view::npos) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(status.data() + begin, status.data() + status.size(), value, 16);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

std::string StatusOf(pid_t tid) {
  return ReadText("/proc/" + std::to_string(tid) + "/status");
}

// Of whatever signal a process ends, but for those that dump core, the kernel gives each of its
// threads this one.
bool IsKilled(std::string_view status) {
  const auto of_thread = Field(status, "\nSigPnd:");
  return !of_thread || (*of_thread & BitOf(SIGKILL)) != 0;
}

}  // namespace

bool IsReasonToInterrupt(std::string_view status) {
  const auto of_thread = Field(status, "\nSigPnd:");
  const auto of_process = Field(status, "\nShdPnd:");
  const auto blocked = Field(status, "\nSigBlk:");
  if (!of_thread || !of_process || !blocked) return true;
  return ((*of_thread | *of_process) & ~*blocked & ~(kClocks | kPauses)) != 0;
}

bool IsThreadInterrupted(pid_t tid) {
  if (tid == 0) return true;
  return IsReasonToInterrupt(StatusOf(tid));
}

bool IsThreadSeenInterrupted(pid_t tid) {
  if (tid == 0) return false;
  const std::string status = StatusOf(tid);
  return !status.empty() && IsReasonToInterrupt(status);
}

bool IsThreadKilled(pid_t tid) {
  return tid == 0 || IsKilled(StatusOf(tid));
}

bool IsThreadSeenKilled(pid_t tid) {
  if (tid == 0) return false;
  const std::string status = StatusOf(tid);
  return !status.empty() && IsKilled(status);
}

}  // namespace shoal
