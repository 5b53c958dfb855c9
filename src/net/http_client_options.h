// What all calls of an HttpClient have in common.
#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>

#include "base/clock.h"

namespace shoal {

struct HttpClientOptions {
  size_t connection_count_max = 64;  // at one time; the next caller waits
  Duration connect_timeout = std::chrono::seconds(5);
  Duration stall_timeout = std::chrono::seconds(10);  // in which no byte comes or goes
  std::string ca_file{};                              // PEM; empty: the system's authorities
  bool ca_file_may_be_missing = false;                // calls fail with kUnusable while it is
  bool verify_certificate = true;
  // Of public_key_pin.h: who has this key is the server, and its certificate is not looked at.
  std::string public_key_pin{};
  // PEM, to show to a server that asks for one; empty: there is none. The key may be in the same
  // file, and is not encrypted.
  std::string client_certificate_file{};
  std::string client_key_file{};
  bool use_proxy = true;   // one that the environment names
  std::stop_token stop{};  // once asked for, calls end within a second or so
};

}  // namespace shoal
