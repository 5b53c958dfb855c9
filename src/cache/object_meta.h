// What the cache keeps beside an object's bytes: whose bytes they are, and a checksum for
// each page. docs/disk_format.md is the page that describes it; both change together.
//
// Pure: bytes in, values out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/object.h"
#include "base/result.h"
#include "cache/object_digest.h"

namespace shoal {

inline constexpr uint32_t kCacheFormatVersion = 1;

inline constexpr uint32_t kPageBytesMin = 4096;
inline constexpr uint32_t kPageBytesMax = 1 << 20;

// The header fills this much of the file; the checksums follow.
inline constexpr uint64_t kMetaHeaderBytes = 2048;
using MetaHeader = std::array<std::byte, kMetaHeaderBytes>;

// Of a page that is not there.
inline constexpr uint64_t kNoChecksum = 0;

struct ObjectMeta {
  std::string identity;     // Identity() of the object; its digest names the files
  uint64_t size_bytes = 0;  // of the object
  uint32_t page_bytes = 0;  // that a checksum is of; the last page may be short

  friend bool operator==(const ObjectMeta&, const ObjectMeta&) = default;
};

// A text that no other version of an object, here or in any other bucket, has.
// `bucket_identity` names endpoint and bucket.
std::string Identity(const std::string& bucket_identity, const ObjectVersion& version);

// kInvalid: the identity is too long for the header.
Result<MetaHeader> EncodeMeta(const ObjectMeta& meta);
// kCorrupt: not written by EncodeMeta of this version, or damaged since.
Result<ObjectMeta> DecodeMeta(std::span<const std::byte> header);

constexpr uint64_t PageCount(uint64_t size_bytes, uint32_t page_bytes) {
  return size_bytes / page_bytes + (size_bytes % page_bytes != 0);
}
// Where in the file the checksum of a page is: 8 bytes, little-endian.
constexpr uint64_t ChecksumOffset(uint64_t page_index) {
  return kMetaHeaderBytes + page_index * sizeof(uint64_t);
}
// Bound to object and place, so that a page of another one does not pass. Never kNoChecksum.
uint64_t PageChecksum(const ObjectDigest& object, uint64_t page_index,
                      std::span<const std::byte> page);

}  // namespace shoal
