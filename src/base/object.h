// The identity of bytes. Everything read or cached is named by an ObjectVersion,
// so a changed object is a different name and never a stale hit.
#pragma once

#include <cstdint>
#include <string>

namespace shoal {

// Larger than any store lets an object be (OSS 48.8 TB, S3 50 TB), so that no size in a file or
// an answer makes this process ask for memory without end.
inline constexpr uint64_t kObjectBytesMax = uint64_t{1} << 46;

struct ObjectVersion {
  std::string key;   // whole key in the bucket, decoded
  std::string etag;  // as the store returned it, quotes included
  uint64_t size_bytes = 0;

  friend bool operator==(const ObjectVersion&, const ObjectVersion&) = default;
};

}  // namespace shoal
