// Texts that are IP addresses, as inet_pton(3) has it: without brackets, port or zone. Pure.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <string>

namespace shoal {

inline bool IsIpV4Address(const std::string& text) {
  in_addr address{};
  return inet_pton(AF_INET, text.c_str(), &address) == 1;
}

inline bool IsIpV6Address(const std::string& text) {
  in6_addr address{};
  return inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

inline bool IsIpAddress(const std::string& text) {
  return IsIpV4Address(text) || IsIpV6Address(text);
}

}  // namespace shoal
