// The admin port, as its user describes it.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "base/bytes.h"
#include "base/option.h"

namespace shoal {

// The default of g_* is the specification's.
struct AdminOptions {
  uint64_t port = 0;
  std::string address = "127.0.0.1";
  std::string token_file{};
  std::string certificate_file{};
  std::string key_file{};
  std::string client_ca_file{};
  // Not an option of a mount: as in HttpServerOptions. Set by who plans the memory.
  uint64_t held_bytes_max = 64 * kMiB;
};

inline constexpr auto kAdminOptions = std::tuple{
    Option{"g_server_Port", &AdminOptions::port, Unit::kPort,
           "Port of the management interface and the live page; 0 for none"},
    Option{"admin_address", &AdminOptions::address, Unit::kNone,
           "Address that port listens on. Beyond this host only with a token or clients' "
           "certificates"},
    Option{"admin_token_file", &AdminOptions::token_file, Unit::kPath,
           "File with the token that callers must send (Authorization: Bearer ...); mode 600, "
           "read again when it changes"},
    Option{"admin_cert_file", &AdminOptions::certificate_file, Unit::kPath,
           "Certificate of the port, PEM with its chain: then it speaks TLS only"},
    Option{"admin_key_file", &AdminOptions::key_file, Unit::kPath, "Its private key, PEM"},
    Option{"admin_client_ca_file", &AdminOptions::client_ca_file, Unit::kPath,
           "Authority, PEM, that callers must have a certificate of"},
};

}  // namespace shoal
