#include "control/admin_access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>

#include <algorithm>

#include "base/log.h"
#include "net/ip_address.h"

namespace shoal {
namespace {

constexpr std::string_view kBearer = "bearer ";

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::string_view Header(const HttpCall& call, std::string_view name) {
  const auto found = call.headers.find(name);
  return found == call.headers.end() ? std::string_view() : std::string_view(found->second);
}

bool IsLoopback(const std::string& address) {
  in_addr v4;
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6;
  return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

// "name" of "name:port" and "::1" of "[::1]:port"; empty if it is neither.
std::string HostName(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return "";
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return "";
    return std::string(host.substr(1, end - 1));
  }
  const size_t colon = std::min(host.find(':'), host.size());
  if (host.find(':', colon + 1) != std::string_view::npos) return "";
  std::string name = LowerCase(host.substr(0, colon));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool IsOurName(std::string_view host, const AdminAccessRules& rules) {
  const std::string name = HostName(host);
  if (host.starts_with('[')) return IsIpAddress(name);
  return name == "localhost" || IsIpAddress(name) ||
         (!name.empty() && name == LowerCase(rules.machine_name));
}

// Browsers say from which page they ask only of hosts that they trust: these, without TLS. Others
// lead here as well: 0.0.0.0, and the machine's name where /etc/hosts has it.
bool IsTrustedByBrowsers(std::string_view host) {
  const std::string name = HostName(host);
  return name == "localhost" || IsLoopback(name);
}

bool HasToken(const HttpCall& call, const std::string& token) {
  std::string_view given = Header(call, "authorization");
  if (LowerCase(given.substr(0, kBearer.size())) != kBearer) return false;
  given.remove_prefix(kBearer.size());
  // Not to be found by how long the comparison takes.
  return given.size() == token.size() &&
         CRYPTO_memcmp(given.data(), token.data(), token.size()) == 0;
}

bool IsFromAnotherPage(const HttpCall& call) {
  const std::string_view site = Header(call, "sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string_view origin = Header(call, "origin");
  if (origin.empty()) return false;
  const std::string own = (call.secure ? "https://" : "http://") + LowerCase(Header(call, "host"));
  return LowerCase(origin) != own;
}

}  // namespace

Result<> CheckAdminOptions(const AdminOptions& options) {
  if (options.certificate_file.empty() != options.key_file.empty())
    return Fail(Errc::kInvalid, "admin_cert_file and admin_key_file go together");
  if (!options.client_ca_file.empty() && options.certificate_file.empty())
    return Fail(Errc::kInvalid, "admin_client_ca_file needs admin_cert_file and admin_key_file");
  const std::string address = ListeningAddress(options);
  if (!IsIpAddress(address))
    return Fail(Errc::kInvalid, "admin_address: '" + log::Printable(options.address) +
                                    "' is not an IPv4 or IPv6 address or localhost");
  if (!IsLoopback(address) && options.token_file.empty() && options.client_ca_file.empty())
    return Fail(Errc::kInvalid,
                "admin_address: " + address +
                    " can be reached from other machines; give admin_token_file, or "
                    "admin_client_ca_file with admin_cert_file and admin_key_file, or leave it "
                    "at 127.0.0.1");
  return {};
}

std::string ListeningAddress(const AdminOptions& options) {
  return options.address == "localhost" ? "127.0.0.1" : options.address;
}

std::optional<AdminRefusal> RefusalOf(const HttpCall& call, AdminCallKind kind,
                                      const AdminAccessRules& rules) {
  const bool identified = !rules.token.empty() || rules.clients_are_certified;
  const std::string_view host = Header(call, "host");  // without it, it is no browser
  if (!identified && !host.empty() && !IsOurName(host, rules))
    return AdminRefusal{403, "Host '" + log::Printable(host) +
                                 "' is not this machine; ask for it by address, as localhost or "
                                 "by its own name"};
  if (kind == AdminCallKind::kChanges && !identified && !host.empty() && !IsTrustedByBrowsers(host))
    return AdminRefusal{403, "what changes something is asked for as 127.0.0.1, ::1 or localhost"};
  if (kind == AdminCallKind::kChanges && IsFromAnotherPage(call))
    return AdminRefusal{403, "a web page of another origin asked for this"};
  if (kind != AdminCallKind::kOpen && !rules.token.empty() && !HasToken(call, rules.token))
    return AdminRefusal{401,
                        "the token of admin_token_file is needed: send the header "
                        "'Authorization: Bearer TOKEN'"};
  return std::nullopt;
}

}  // namespace shoal
