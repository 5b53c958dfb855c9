#include "cache/object_digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>

namespace shoal {

ObjectDigest ObjectDigest::Of(std::string_view identity) {
  const XXH128_hash_t hash = XXH3_128bits(identity.data(), identity.size());
  return {{hash.high64, hash.low64}};
}

std::string ObjectDigest::Hex() const {
  return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

std::optional<ObjectDigest> ObjectDigest::FromHex(std::string_view hex) {
  constexpr size_t kWordDigits = 16;
  ObjectDigest digest;
  if (hex.size() != kWordDigits * digest.words.size()) return std::nullopt;
  if (hex.find_first_not_of("0123456789abcdef") != hex.npos) return std::nullopt;
  for (uint64_t& word : digest.words) {
    std::from_chars(hex.data(), hex.data() + kWordDigits, word, 16);
    hex.remove_prefix(kWordDigits);
  }
  return digest;
}

}  // namespace shoal
