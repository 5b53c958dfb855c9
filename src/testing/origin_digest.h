// Checksums, and the encodings they travel in.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
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

std::string FromHex(std::string_view text);  // "" unless pairs of hex digits
std::string Md5Hex(std::string_view bytes);
std::string Sha256Hex(std::string_view bytes);

}  // namespace shoal::embedded
