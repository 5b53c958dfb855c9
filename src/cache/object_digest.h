// The name of an object version in a cache: a digest of its identity (bucket, key, ETag,
// size; the owner decides how they are put into bytes).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal {

struct ObjectDigest {
  std::array<uint64_t, 2> words{};  // the more significant one first

  // XXH3, 128 bits. It is not a secret: whoever may write objects can make two identities
  // with one digest, so the identity itself is kept beside the bytes and compared.
  static ObjectDigest Of(std::string_view identity);

  // 32 lower-case hex digits, and back. Anything else, capitals included, is no digest:
  // one digest has one file name.
  [[nodiscard]] std::string Hex() const;
  static std::optional<ObjectDigest> FromHex(std::string_view hex);

  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the 0 that <=> compares with for a pointer
  friend auto operator<=>(const ObjectDigest&, const ObjectDigest&) = default;
};

// For tables of boost's.
struct HashOfDigest {
  using is_avalanching = void;  // it is a hash already
  size_t operator()(const ObjectDigest& digest) const { return digest.words[1]; }
};

}  // namespace shoal
