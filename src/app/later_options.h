// Options of the specification whose feature is not in this build. They are accepted, so
// that a command line written for the whole of it mounts; asking for one is warned of.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "base/option.h"

namespace shoal {

// The defaults are the specification's.
struct LaterOptions {
  bool distributed = true;
  std::string root_list_file;
  uint64_t node_role = 0;
  uint64_t peer_port = 17980;
};

inline constexpr auto kLaterOptions = std::tuple{
    Option{"g_tier_DadiIsDistributed", &LaterOptions::distributed, Unit::kNone,
           "Share the cache with the nodes of the root list"},
    Option{"g_tier_DadiAddr", &LaterOptions::root_list_file, Unit::kPath,
           "Root list: the nodes of the cluster"},
    Option{"g_tier_DadiRootClientType", &LaterOptions::node_role, Unit::kNone,
           "Role of the node: 0 gives and takes cached data, 1 only gives, 2 only takes"},
    Option{"g_tier_DadiP2PPort", &LaterOptions::peer_port, Unit::kPort,
           "Port that the nodes of the cluster speak on"},
};

}  // namespace shoal
