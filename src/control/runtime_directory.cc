#include "control/runtime_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/log.h"

namespace shoal {
namespace {

constexpr std::string_view kRoot = "/run/shoal/";

std::string AdminFile(std::string_view mount_point) {
  return RuntimeDirectory(mount_point) + "admin.json";
}

}  // namespace

std::string RuntimeDirectory(std::string_view mount_point) {
  while (mount_point.ends_with('/')) mount_point.remove_suffix(1);
  if (mount_point.starts_with('/')) mount_point.remove_prefix(1);
  std::string escaped;
  for (const char c : mount_point) {
    const auto byte = static_cast<unsigned char>(c);
    const bool kept = byte < 0x80 && (std::isalnum(byte) != 0 || c == '_' || c == ':' ||
                                      (c == '.' && !escaped.empty()));
    if (c == '/')
      escaped += '-';
    else if (kept)
      escaped += c;
    else
      escaped += fmt::format("\\x{:02x}", byte);
  }
  return std::string(kRoot) + (escaped.empty() ? "-" : escaped) + "/";
}

Result<> WriteAdminAddress(std::string_view mount_point, const AdminAddress& address) {
  const std::string file = AdminFile(mount_point);
  const std::filesystem::path directory = RuntimeDirectory(mount_point);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Fail(Errc::kUnreachable, directory.string() + ": " + error.message());
  chmod(directory.c_str(), 0700);
  const nlohmann::ordered_json json = {
      {"url", address.url}, {"token_file", address.token_file}, {"ca_file", address.ca_file}};
  const std::string draft = file + ".new";
  if (!(std::ofstream(draft, std::ios::trunc) << json.dump() << '\n' << std::flush))
    return Fail(Errc::kUnreachable, draft + ": " + std::strerror(errno));
  std::filesystem::rename(draft, file, error);
  if (error) return Fail(Errc::kUnreachable, file + ": " + error.message());
  return {};
}

Result<AdminAddress> ReadAdminAddress(std::string_view mount_point) {
  const std::string file = AdminFile(mount_point);
  std::ifstream stream(file);
  if (!stream && errno == EACCES)
    return Fail(Errc::kDenied, file + ": only root may speak to the admin port of a mount");
  if (!stream)
    return Fail(Errc::kNotFound, log::Printable(mount_point) +
                                     " has no admin port: mount with -o g_server_Port=17871");
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto member = [&](const char* name) {
    return json.is_object() && json.contains(name) && json[name].is_string()
               ? json[name].get<std::string>()
               : std::string();
  };
  AdminAddress address{member("url"), member("token_file"), member("ca_file")};
  if (address.url.empty()) return Fail(Errc::kInvalid, file + " is damaged: remount");
  return address;
}

void RemoveAdminAddress(std::string_view mount_point) {
  std::error_code ignored;
  std::filesystem::remove(AdminFile(mount_point), ignored);
  // Only when nothing else is in it.
  std::filesystem::remove(RuntimeDirectory(mount_point), ignored);
}

}  // namespace shoal
