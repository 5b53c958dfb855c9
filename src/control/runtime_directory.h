// Where a mount leaves what other commands need to find it: /run/shoal/ESCAPED-MOUNT-POINT/, of
// root alone.
#pragma once

#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "base/result.h"

namespace shoal {

// As systemd-escape --path has it, so that "/mnt/oss_data" is "mnt-oss_data". What would be
// longer than a file's name may be is a hash.
std::string EscapeMountPoint(std::string_view mount_point);

// The directory above; need not be there.
std::string StateDirectory(std::string_view mount_point);
// Makes it.
Result<> MakeStateDirectory(const std::string& directory);

// While this is open no other keeper adds or removes files of mounts there: a mount may end as the
// next one at its path begins. Best effort: after a second of waiting for others, or where there is
// no lock file, the caller goes on without.
FileDescriptor HoldRuntimeDirectory();

// How the admin port of a mount is reached.
struct AdminAddress {
  std::string url;             // "http://127.0.0.1:17871"
  std::string token_file;      // of the bearer token; empty for none
  std::string public_key_pin;  // of its certificate (net/public_key_pin.h); empty for http

  friend bool operator==(const AdminAddress&, const AdminAddress&) = default;
};

// For as long as the descriptor is open, this process has the admin port of the mount, and an
// address is believed; whoever else has the port after it is sent no token. Makes the directory.
// Errors are the system's.
Result<FileDescriptor> HoldAdminPort(std::string_view mount_point);
// Replaces what was there at once. REQUIRES: HoldAdminPort. Errors are the system's.
Result<> WriteAdminAddress(std::string_view mount_point, const AdminAddress& address);
// kInvalid: the file is damaged; kDenied: it is for root. Without one, or with one of nobody who
// holds the port, the error is WhyNoAdminPort's.
Result<AdminAddress> ReadAdminAddress(std::string_view mount_point);
// `type` is of what is mounted there, "fuse.shoal"; `state` is the text of its state.json
// (app/mount_state.h). Each is empty where there is none. kUnreachable: the mount is to have a
// port, but has none just now; kNotFound: it is to have none, or is no mount of ours, or none any
// more. Pure.
Error WhyNoAdminPort(std::string_view mount_point, std::string_view type, std::string_view state);
void RemoveAdminAddress(std::string_view mount_point);

}  // namespace shoal
