// The proxy that the environment names for an origin, chosen as curl(1) chooses it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace shoal {

// Of an http:// origin http_proxy names it, of an https:// one https_proxy or HTTPS_PROXY, of both
// all_proxy or ALL_PROXY. What it does not say is empty.
struct Proxy {
  std::string variable{};  // that names it; empty: there is no proxy
  std::string url{};       // with its scheme; may hold a password
  std::string place{};     // "HOST port PORT", as libcurl's sentences have it
  // Requests go to the proxy itself, with a whole URL for their target. Otherwise it only passes
  // bytes on once connected.
  bool takes_requests = false;
  std::string authorization{};  // the value of Proxy-Authorization with such requests
};

// None for the hosts that no_proxy or NO_PROXY names. `origin` is as in HttpRequest. Reads the
// environment, which nobody may change meanwhile. kUnusable: the variable names none that is
// known; the detail does not repeat it, because it may hold a password.
Result<Proxy> ProxyOf(const std::string& origin);

// Whether `hosts` names `host`: it is "*", or a list, parted by commas or spaces, of hosts, of
// domains for themselves and all below them, with a dot before them or not, and of addresses and
// networks ("10.0.0.0/8"). `host` is without brackets.
bool NamesHost(std::string_view hosts, std::string_view host);

// "HOST port PORT" of an origin; empty if it is none.
std::string PlaceOf(const std::string& origin);

}  // namespace shoal
