// Checksums, and the encodings they travel in.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "origin/text_values.h"

namespace shoal::embedded {

// A running checksum. Used by one thread.
class Digest {
 public:
  enum class Kind : uint8_t { kMd5, kSha1, kSha256 };
  explicit Digest(Kind kind);
  void Add(std::span<const std::byte> bytes);
  // The raw digest. Called once, last.
  std::string Finish();

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// What the services tell of an object's bytes.
struct Sums {
  std::string md5_hex;
  uint64_t crc64 = 0;  // OSS's, origin/crc64.h
};

// Used by one thread.
class RunningSums {
 public:
  void Add(std::span<const std::byte> bytes);
  // Called once, last.
  Sums Finish();

 private:
  Digest md5_{Digest::Kind::kMd5};
  uint64_t crc64_ = 0;
};

std::string FromHex(std::string_view text);  // "" unless pairs of hex digits
std::string Md5Hex(std::string_view bytes);
std::string Sha256Hex(std::string_view bytes);

}  // namespace shoal::embedded
