// Where a mount leaves what other commands need to find it: /run/shoal/MOUNT/, of root alone,
// with the mount point escaped as systemd does ("/mnt/oss_data" is mnt-oss_data).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace shoal {

// `mount_point`: absolute. With a slash at its end.
std::string RuntimeDirectory(std::string_view mount_point);

// How the admin port of a mount is reached.
struct AdminAddress {
  std::string url;         // "http://127.0.0.1:17871"
  std::string token_file;  // of the bearer token; empty for none
  std::string ca_file;     // PEM that its certificate is checked against; empty for http

  friend bool operator==(const AdminAddress&, const AdminAddress&) = default;
};

// Replaces what was there at once. Makes the directory. Errors are the system's.
Result<> WriteAdminAddress(std::string_view mount_point, const AdminAddress& address);
// kNotFound: that mount has no admin port, or it is not ours. kInvalid: the file is damaged.
Result<AdminAddress> ReadAdminAddress(std::string_view mount_point);
void RemoveAdminAddress(std::string_view mount_point);

}  // namespace shoal
