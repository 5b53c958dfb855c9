#include "app/mount_state.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/replace_file.h"

namespace shoal {
namespace {

constexpr size_t kStateBytesMax = 1 << 20;

}  // namespace

std::string ToJson(const MountState& state) {
  const nlohmann::ordered_json json = {
      {"source", state.source},           {"subtype", state.subtype},
      {"mount_point", state.mount_point}, {"options", state.options},
      {"log_level", state.log_level},     {"sloppy", state.sloppy},
      {"foreground", state.foreground},   {"binary", state.binary},
      {"version", state.version},         {"keeper_pid", state.keeper_pid},
      {"worker_pid", state.worker_pid},   {"warning", state.warning}};
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
  take("warning", state.warning);
  if (!fits || state.source.empty() || state.mount_point.empty()) return wrong();
  return state;
}

Result<> CheckMountState(const MountState& state) {
  const auto read = ParseMountState(ToJson(state));
  if (!read) return tl::unexpected(read.error());
  if (*read == state) return {};
  const char* const what = read->mount_point != state.mount_point ? "the mount point"
                           : read->source != state.source         ? "the source"
                           : read->options != state.options       ? "an option"
                                                                  : "the path of this program";
  return Fail(Errc::kInvalid, fmt::format("{} has bytes that are not UTF-8: such a mount cannot "
                                          "be kept",
                                          what));
}

std::string OwnStatePath(const std::string& directory, int64_t keeper_pid) {
  return fmt::format("{}/state.{}.json", directory, keeper_pid);
}

Result<> WriteMountState(const std::string& path, const MountState& state) {
  return ReplaceFile(path, ToJson(state));
}

Result<MountState> ReadMountState(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Fail(errno == ENOENT ? Errc::kNotFound : Errc::kInvalid,
                fmt::format("{}: {}", path, std::strerror(errno)));
  std::string text(kStateBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  auto state = ParseMountState(text);
  if (!state) state.error().detail = path + ": " + state.error().detail;
  return state;
}

}  // namespace shoal
