#include "cli/top_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/log.h"
#include "cli/humane.h"
#include "cli/warmup_progress.h"

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kErrorCountMax = 3;
constexpr size_t kBarWidth = 24;
constexpr std::string_view kPlaces[] = {"memory", "disk", "peer", "origin"};

uint64_t Number(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<uint64_t>() : 0;
}

// Nothing of it moves the cursor, whatever the port says.
std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? log::Printable(found->get<std::string>())
                                                     : std::string();
}

// The last entry of a column of the history.
uint64_t Latest(const Json& status, const std::string& column) {
  const Json values = status.value("history", Json::object()).value(column, Json::array());
  return values.empty() || !values.back().is_number() ? 0 : values.back().get<uint64_t>();
}

// Files that were handed to the kernel, in the last `second_count` seconds: how many, and their
// sizes. What it reads of them nobody counts.
struct Handed {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

Handed HandedToTheKernel(const Json& status, size_t second_count) {
  const Json history = status.value("history", Json::object());
  const auto sum = [&](const char* column) {
    const Json values = history.value(column, Json::array());
    uint64_t total = 0;
    for (size_t i = values.size() - std::min(values.size(), second_count); i < values.size(); ++i)
      if (values[i].is_number()) total += values[i].get<uint64_t>();
    return total;
  };
  return {sum("passthrough_open_count"), sum("passthrough_opened_bytes")};
}

std::string Spelled(const Handed& handed) {
  return fmt::format("{} {} of {} handed to the kernel", handed.files,
                     handed.files == 1 ? "file" : "files",
                     HumaneBytes(static_cast<double>(handed.bytes)));
}

std::string Rates(const Json& status) {
  uint64_t total = 0;
  std::string parts;
  for (const std::string_view place : kPlaces) {
    const uint64_t bytes = Latest(status, std::string(place) + "_bytes");
    total += bytes;
    if (place == "peer" && bytes == 0) continue;
    parts += fmt::format("  {} {}/s", place, HumaneBytes(static_cast<double>(bytes)));
  }
  const uint64_t missed = Latest(status, "origin_bytes");
  // As /v1/tier counts: with their sizes, when they are opened.
  const uint64_t counted = total + HandedToTheKernel(status, 1).bytes;
  const std::string hits =
      counted == 0 ? "-"
                   : fmt::format("{:.0f}%", 100.0 * static_cast<double>(counted - missed) /
                                                static_cast<double>(counted));
  return fmt::format("read {}/s  hits {} {}", HumaneBytes(static_cast<double>(total)), hits, parts);
}

// A line whose end may be cut in its middle, where a path says least.
std::string Fitted(const std::string& line, std::string_view end, size_t width) {
  return line + Shortened(end, width - std::min(width, line.size()));
}

// Of the processes that served before this one.
std::string Deaths(const Json& status, uint64_t now) {
  const Json workers = status.value("workers_before", Json::object());
  const uint64_t count = Number(workers, "death_count");
  if (count == 0) return "";
  const uint64_t ago = now - std::min(now, Number(workers, "last_death_unix_seconds"));
  return fmt::format("WORKER DIED {} {} ago",
                     count == 1 ? "once," : fmt::format("{} times, last", count),
                     HumaneDuration(ago));
}

std::string TierLine(const Json& tier, size_t width) {
  const auto used = static_cast<double>(Number(tier, "used_bytes"));
  const auto capacity = static_cast<double>(Number(tier, "capacity_bytes"));
  const double share = capacity > 0 ? used / capacity : 0;
  const std::string path = Text(tier, "path");
  return Fitted(fmt::format("{:<7}{} {:3.0f}%  {} of {}  {} objects", Text(tier, "kind"),
                            ProgressBar(share, kBarWidth), share * 100, HumaneBytes(used),
                            HumaneBytes(capacity), Number(tier, "object_count")),
                path.empty() ? "" : "  " + path, width);
}

std::string OperationLine(const Json& operation) {
  const auto latency = [&](const char* name) {
    const auto found = operation.find(name);
    return found != operation.end() && found->is_number() ? HumaneLatency(found->get<double>())
                                                          : std::string("-");
  };
  const uint64_t errors = Number(operation, "error_count");
  return fmt::format("{:<8} {:>9}  p50 {:>8}  p99 {:>8}{}", Text(operation, "name"),
                     Number(operation, "count"), latency("p50_us"), latency("p99_us"),
                     errors == 0 ? "" : fmt::format("  {} errors", errors));
}

}  // namespace

std::vector<std::string> TopScreen(const Json& status, const Json& tasks, size_t width) {
  std::vector<std::string> lines;
  const Json mount = status.value("mount", Json::object());
  const uint64_t now = Number(status, "now_unix_seconds");
  const bool is_ready = status.value("ready", false);
  lines.push_back(Fitted(
      "", fmt::format("{} on {}", Text(mount, "source"), Text(mount, "mount_point")), width));
  lines.push_back(fmt::format(
      "shoal {}, up {}{}{}", Text(status, "version"),
      HumaneDuration(now - std::min(now, Number(status, "started_unix_seconds"))),
      is_ready ? ", ready" : "",
      mount.value("passthrough", false) ? ", whole files pass through the kernel" : ""));
  if (!is_ready) lines.push_back("NOT READY: " + Text(status, "reason"));
  if (std::string deaths = Deaths(status, now); !deaths.empty()) lines.push_back(std::move(deaths));
  lines.emplace_back();
  lines.push_back(Rates(status));
  for (const Json& tier : status.value("tiers", Json::array())) {
    lines.push_back(TierLine(tier, width));
    if (!tier.value("working", true)) lines.push_back("       NOT USED: " + Text(tier, "reason"));
  }
  lines.emplace_back();
  lines.emplace_back("last minute");
  if (mount.value("passthrough", false))
    lines.push_back(Spelled(HandedToTheKernel(status, 60)) + "; what it reads nobody counts");
  for (const Json& operation : status.value("operations", Json::array()))
    lines.push_back(OperationLine(operation));
  if (tasks.is_array() && !tasks.empty()) {
    lines.emplace_back();
    lines.emplace_back("warm-ups");
    for (const Json& task : tasks) {
      const auto total = static_cast<double>(Number(task, "TotalSize"));
      const auto completed = static_cast<double>(Number(task, "CompletedSize"));
      lines.push_back(Fitted(fmt::format("{} {:3.0f}%  {} of {}  ",
                                         ProgressBar(total > 0 ? completed / total : 0, kBarWidth),
                                         total > 0 ? 100 * completed / total : 0,
                                         HumaneBytes(completed), HumaneBytes(total)),
                             Text(task, "Path"), width));
    }
  }
  const Json errors = status.value("errors", Json::array());
  if (!errors.empty()) {
    lines.emplace_back();
    lines.emplace_back("recent trouble");
    for (size_t i = 0; i < std::min(errors.size(), kErrorCountMax); ++i) {
      const uint64_t at = Number(errors[i], "last_unix_seconds");
      lines.push_back(Fitted(fmt::format("{} ago{}: ", HumaneDuration(now - std::min(now, at)),
                                         Number(errors[i], "count") > 1
                                             ? fmt::format(", {} times", Number(errors[i], "count"))
                                             : ""),
                             Text(errors[i], "reason"), width));
    }
  }
  for (std::string& line : lines)
    if (line.size() > width) line.resize(width);
  return lines;
}

std::string TopLine(const Json& status) {
  uint64_t used = 0;
  for (const Json& tier : status.value("tiers", Json::array())) used += Number(tier, "used_bytes");
  const Handed handed = HandedToTheKernel(status, 1);
  return fmt::format(
      "{}{}  cached {}  {}", Rates(status), handed.files == 0 ? "" : "  " + Spelled(handed),
      HumaneBytes(static_cast<double>(used)),
      status.value("ready", false) ? "ready" : "NOT READY: " + Text(status, "reason"));
}

}  // namespace shoal
