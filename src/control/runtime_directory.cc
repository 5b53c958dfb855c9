#include "control/runtime_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <cctype>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <tuple>

#include "base/file_lock.h"
#include "base/log.h"
#include "base/option_list.h"
#include "base/read_text.h"
#include "base/replace_file.h"
#include "control/options.h"
#include "fuse/mount_table.h"

namespace shoal {
namespace {

constexpr std::string_view kStateRoot = "/run/shoal";
constexpr std::chrono::seconds kHeldMax{1};

std::string AdminFile(std::string_view mount_point) {
  return StateDirectory(mount_point) + "/admin.json";
}

std::string AdminLockFile(std::string_view mount_point) {
  return StateDirectory(mount_point) + "/admin.lock";
}

bool IsAdminPortHeld(std::string_view mount_point) {
  const FileDescriptor file(open(AdminLockFile(mount_point).c_str(), O_RDONLY | O_CLOEXEC));
  struct flock any {};
  any.l_type = F_WRLCK;
  return file.valid() && fcntl(file.get(), F_OFD_GETLK, &any) == 0 && any.l_type != F_UNLCK;
}

// Whether the options of a state.json do.
bool NamesAPort(std::string_view state) {
  constexpr std::string_view kName = std::get<0>(kAdminOptions).name;
  const auto json = nlohmann::json::parse(state, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("options")) return false;
  uint64_t port = 0;
  for (const auto& argument : json["options"]) {
    const auto list = SplitOptionList(argument.is_string() ? argument.get<std::string>() : "");
    if (!list) continue;
    for (const ListedOption& option : *list)
      if (option.name == kName && option.value) static_cast<void>(ParseValue(*option.value, port));
  }
  return port != 0;
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

FileDescriptor HoldRuntimeDirectory() {
  mkdir(std::string(kStateRoot).c_str(), 0700);
  // No mount's: EscapeMountPoint begins no name with a dot.
  const std::string path = fmt::format("{}/.lock", kStateRoot);
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.valid() && !LockWithin(file.get(), kHeldMax))
    log::Warn("{} is held by somebody who does not let go of it", path);
  return file;
}

// The lock goes with the process however it ends. Shared: one that was killed and cannot end keeps
// its own.
Result<FileDescriptor> HoldAdminPort(std::string_view mount_point) {
  RETURN_IF_ERROR(MakeStateDirectory(StateDirectory(mount_point)));
  const std::string path = AdminLockFile(mount_point);
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct flock shared {};
  shared.l_type = F_RDLCK;
  if (file.valid() && fcntl(file.get(), F_OFD_SETLK, &shared) == 0) return file;
  return Fail(Errc::kInvalid, fmt::format("{}: {}", path, std::strerror(errno)));
}

Result<> WriteAdminAddress(std::string_view mount_point, const AdminAddress& address) {
  const std::string file = AdminFile(mount_point);
  const nlohmann::ordered_json json = {{"url", address.url},
                                       {"token_file", address.token_file},
                                       {"public_key_pin", address.public_key_pin}};
  return ReplaceFile(file, json.dump(-1, ' ', /*ensure_ascii=*/false,
                                     nlohmann::ordered_json::error_handler_t::replace) +
                               "\n");
}

Result<AdminAddress> ReadAdminAddress(std::string_view mount_point) {
  const std::string file = AdminFile(mount_point);
  std::ifstream stream(file);
  if (!stream && errno == EACCES)
    return Fail(Errc::kDenied, file + ": only root may speak to the admin port of a mount");
  if (!stream || !IsAdminPortHeld(mount_point)) {
    const auto mounts = MountsAt(mount_point);
    const std::string type = mounts && !mounts->empty() ? mounts->back().type : "";
    return tl::unexpected(
        WhyNoAdminPort(mount_point, type, ReadText(StateDirectory(mount_point) + "/state.json")));
  }
  const std::string text = ReadText(file);
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto member = [&](const char* name) {
    return json.is_object() && json.contains(name) && json[name].is_string()
               ? json[name].get<std::string>()
               : std::string();
  };
  AdminAddress address{member("url"), member("token_file"), member("public_key_pin")};
  if (address.url.empty()) return Fail(Errc::kInvalid, file + " is damaged: remount");
  return address;
}

Error WhyNoAdminPort(std::string_view mount_point, std::string_view type, std::string_view state) {
  const std::string name = log::Printable(mount_point);
  if (type.empty()) return {Errc::kNotFound, name + " is not mounted"};
  if (state.empty() && !IsTypeOfOurs(type))
    return {Errc::kNotFound, name + " is not a mount of shoal"};
  if (state.empty())
    return {Errc::kNotFound,
            name + ": nobody keeps this mount any more; unmount it and mount again"};
  if (NamesAPort(state))
    return {Errc::kUnreachable, name +
                                    ": the process with its admin port is gone, or could not open "
                                    "it; try again, or see the log and shoal doctor"};
  return {Errc::kNotFound,
          name + " has no admin port: shoal update MOUNTPOINT -o g_server_Port=17871 opens one"};
}

void RemoveAdminAddress(std::string_view mount_point) {
  std::error_code ignored;
  std::filesystem::remove(AdminFile(mount_point), ignored);
}

}  // namespace shoal
