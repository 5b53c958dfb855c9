#include "net/proxy.h"

#include <curl/curl.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <cstdlib>
#include <memory>
#include <vector>

#include "net/base64.h"

namespace shoal {
namespace {

namespace ip = boost::asio::ip;
using boost::system::error_code;

constexpr std::string_view kSchemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"};

struct Deleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};
using Url = std::unique_ptr<CURLU, Deleter>;

Url Parse(const std::string& text) {
  Url url(curl_url());
  const auto code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
  return code == CURLUE_OK ? std::move(url) : nullptr;
}

std::string PartOf(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  curl_url_get(url.get(), part, &text, flags);
  const std::unique_ptr<char, Deleter> owned(text);
  return text == nullptr ? "" : text;
}

// Without the brackets of an IPv6 address, as libcurl's sentences have it.
std::string HostOf(const Url& url) {
  const std::string host = PartOf(url, CURLUPART_HOST);
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

std::string PlaceOf(const Url& url, const char* default_port) {
  const std::string port = PartOf(url, CURLUPART_PORT);
  return HostOf(url) + " port " + (port.empty() ? default_port : port);
}

std::string Value(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

bool Holds(const std::string& network, const ip::address& address) {
  error_code fault;
  if (const ip::address one = ip::make_address(network, fault); !fault) return one == address;
  if (address.is_v4()) {
    const ip::network_v4 held = ip::make_network_v4(network, fault);
    return !fault &&
           ip::network_v4(address.to_v4(), held.prefix_length()).canonical() == held.canonical();
  }
  const ip::network_v6 held = ip::make_network_v6(network, fault);
  return !fault &&
         ip::network_v6(address.to_v6(), held.prefix_length()).canonical() == held.canonical();
}

}  // namespace

bool NamesHost(std::string_view hosts, std::string_view host) {
  if (hosts == "*") return true;
  error_code fault;
  const ip::address address = ip::make_address(std::string(host), fault);
  const bool is_address = !fault;
  if (host.ends_with('.')) host.remove_suffix(1);
  while (!hosts.empty()) {
    const size_t end = std::min(hosts.find_first_of(", \t"), hosts.size());
    std::string_view named = hosts.substr(0, end);
    hosts.remove_prefix(std::min(end + 1, hosts.size()));
    if (is_address) {
      if (Holds(std::string(named), address)) return true;
      continue;
    }
    if (named.starts_with('.')) named.remove_prefix(1);
    if (named.ends_with('.')) named.remove_suffix(1);
    if (named.empty() || !boost::algorithm::iends_with(host, named)) continue;
    if (host.size() == named.size() || host[host.size() - named.size() - 1] == '.') return true;
  }
  return false;
}

std::string PlaceOf(const std::string& origin) {
  const Url url = Parse(origin);
  return url == nullptr ? "" : PlaceOf(url, origin.starts_with("https:") ? "443" : "80");
}

Result<Proxy> ProxyOf(const std::string& origin) {
  const bool is_secure = origin.starts_with("https:");
  const std::vector<const char*> variables =
      is_secure ? std::vector{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}
                : std::vector{"http_proxy", "all_proxy", "ALL_PROXY"};
  Proxy proxy;
  for (const char* const variable : variables) {
    proxy.url = Value(variable);
    proxy.variable = variable;
    if (!proxy.url.empty()) break;
  }
  if (proxy.url.empty()) return Proxy{};
  const std::string exempt = Value("no_proxy").empty() ? Value("NO_PROXY") : Value("no_proxy");
  if (NamesHost(exempt, HostOf(Parse(origin)))) return Proxy{};

  // As a name alone libcurl would guess the scheme from it.
  if (proxy.url.find("://") == std::string::npos) proxy.url.insert(0, "http://");
  const Url url = Parse(proxy.url);
  const std::string scheme = PartOf(url, CURLUPART_SCHEME);
  if (std::ranges::find(kSchemes, scheme) == std::end(kSchemes))
    return Fail(Errc::kUnusable, fmt::format("{} names no proxy: a URL like "
                                             "http://USER:PASSWORD@HOST:PORT, its signs encoded",
                                             proxy.variable));
  proxy.place = PlaceOf(url, scheme == "https" ? "443" : "1080");
  proxy.takes_requests = !is_secure && scheme.starts_with("http");
  const std::string user = PartOf(url, CURLUPART_USER, CURLU_URLDECODE);
  if (proxy.takes_requests && !user.empty())
    proxy.authorization =
        "Basic " + Base64(user + ":" + PartOf(url, CURLUPART_PASSWORD, CURLU_URLDECODE));
  return proxy;
}

}  // namespace shoal
