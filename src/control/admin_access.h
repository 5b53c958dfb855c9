// Who may ask the admin port what. Pure.
//
// Three things are guarded against: a network that must not reach it at all, callers without
// the token, and web pages that make a browser on this machine ask in their name. The last
// one is why Host, Origin and Sec-Fetch-Site are looked at: the specification's commands are
// GETs, which any page can cause.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/options.h"
#include "net/http_call.h"

namespace shoal {

// kInvalid, naming the option and what to do: an address that is none, or beyond this host
// without a token or clients' certificates; files that lack their counterpart.
Result<> CheckAdminOptions(const AdminOptions& options);

// The address to listen on: as configured, or what "localhost" is.
std::string ListeningAddress(const AdminOptions& options);

struct AdminAccessRules {
  std::string machine_name{};
  // Empty: none is demanded.
  std::string token{};
  // Callers have shown a certificate. With that or a token, a name that somebody else points
  // at this address is of no use to him, and Host may be any.
  bool clients_are_certified = false;
};

enum class AdminCallKind : uint8_t {
  kOpen,    // the page's own files and /healthz: no secret in them
  kReads,   // tells what is
  kChanges  // does something
};

struct AdminRefusal {
  int status = 0;  // 401 or 403
  std::string reason;

  friend bool operator==(const AdminRefusal&, const AdminRefusal&) = default;
};

// Empty: it may.
std::optional<AdminRefusal> RefusalOf(const HttpCall& call, AdminCallKind kind,
                                      const AdminAccessRules& rules);

}  // namespace shoal
