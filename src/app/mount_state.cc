#include "app/mount_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace shoal {
namespace {

constexpr std::string_view kStateRoot = "/run/shoal";
constexpr size_t kStateBytesMax = 1 << 20;

auto FailSystem(const std::string& path) {
  return Fail(errno == ENOENT ? Errc::kNotFound : Errc::kInvalid,
              fmt::format("{}: {}", path, std::strerror(errno)));
}

Result<> WriteWhole(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return FailSystem(path);
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  close(fd);
  errno = error;
  if (!written) return FailSystem(path);
  return {};
}

}  // namespace

std::string EscapeMountPoint(std::string_view mount_point) {
  std::string out;
  while (mount_point.starts_with('/')) mount_point.remove_prefix(1);
  while (mount_point.ends_with('/')) mount_point.remove_suffix(1);
  if (mount_point.empty()) return "-";
  for (const char c : mount_point) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 0x80 && (std::isalnum(byte) != 0 || c == ':' || c == '_' || c == '.');
    if (c == '/')
      out += '-';
    else if (plain && !(c == '.' && out.empty()))
      out += c;
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  if (out.size() <= NAME_MAX) return out;
  return fmt::format("long-{:016x}", XXH3_64bits(mount_point.data(), mount_point.size()));
}

std::string StateDirectory(std::string_view mount_point) {
  return fmt::format("{}/{}", kStateRoot, EscapeMountPoint(mount_point));
}

Result<> MakeStateDirectory(const std::string& directory) {
  for (const std::string& path : {std::string(kStateRoot), directory})
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
      return Fail(Errc::kInvalid, fmt::format("cannot keep the state of the mount: {}: {}", path,
                                              std::strerror(errno)));
  return {};
}

std::string ToJson(const MountState& state) {
  const nlohmann::ordered_json json = {
      {"source", state.source},           {"subtype", state.subtype},
      {"mount_point", state.mount_point}, {"options", state.options},
      {"log_level", state.log_level},     {"sloppy", state.sloppy},
      {"foreground", state.foreground},   {"binary", state.binary},
      {"version", state.version},         {"keeper_pid", state.keeper_pid},
      {"worker_pid", state.worker_pid}};
  // Paths may have any bytes; JSON takes UTF-8 only.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<MountState> ParseMountState(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto wrong = [] { return Fail(Errc::kInvalid, "it is not the state of a mount"); };
  if (!json.is_object()) return wrong();
  bool fits = true;
  const auto take = [&](const char* name, auto& out) {
    const auto found = json.find(name);
    if (found == json.end()) return;
    using Type = std::decay_t<decltype(out)>;
    if constexpr (std::is_same_v<Type, std::string>) {
      fits = fits && found->is_string();
    } else if constexpr (std::is_same_v<Type, bool>) {
      fits = fits && found->is_boolean();
    } else if constexpr (std::is_same_v<Type, int64_t>) {
      fits = fits && found->is_number_integer();
    } else {
      fits = fits && found->is_array();
      for (const auto& item : *found) fits = fits && item.is_string();
    }
    if (fits) out = found->template get<Type>();
  };
  MountState state;
  take("source", state.source);
  take("subtype", state.subtype);
  take("mount_point", state.mount_point);
  take("options", state.options);
  take("log_level", state.log_level);
  take("sloppy", state.sloppy);
  take("foreground", state.foreground);
  take("binary", state.binary);
  take("version", state.version);
  take("keeper_pid", state.keeper_pid);
  take("worker_pid", state.worker_pid);
  if (!fits || state.source.empty() || state.mount_point.empty()) return wrong();
  return state;
}

Result<> WriteMountState(const std::string& path, const MountState& state) {
  const std::string temporary = fmt::format("{}.{}", path, getpid());
  auto written = WriteWhole(temporary, ToJson(state));
  if (written && rename(temporary.c_str(), path.c_str()) != 0) written = FailSystem(path);
  if (!written) unlink(temporary.c_str());
  return written;
}

Result<MountState> ReadMountState(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return FailSystem(path);
  std::string text(kStateBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  auto state = ParseMountState(text);
  if (!state) state.error().detail = path + ": " + state.error().detail;
  return state;
}

}  // namespace shoal
