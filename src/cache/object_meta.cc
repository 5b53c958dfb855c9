#include "cache/object_meta.h"

#include <algorithm>
#include <bit>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace shoal {
namespace {

static_assert(std::endian::native == std::endian::little, "fields are stored as they are");

constexpr std::array<char, 8> kMagic = {'s', 'h', 'o', 'a', 'l', 'O', 'B', 'J'};

struct Fields {
  std::array<char, 8> magic;
  uint64_t header_checksum;  // XXH3 of the header's bytes after this field
  uint32_t version;
  uint32_t page_bytes;
  uint64_t size_bytes;
  uint64_t identity_bytes;
};
static_assert(sizeof(Fields) == 40);

constexpr size_t kChecksummedFrom = offsetof(Fields, version);

uint64_t HeaderChecksum(std::span<const std::byte> header) {
  const auto covered = header.subspan(kChecksummedFrom);
  return XXH3_64bits(covered.data(), covered.size());
}

// Parts of any bytes, put together so that other parts never make the same text.
void AppendPart(std::string& text, const std::string& part) {
  text += std::to_string(part.size());
  text += ':';
  text += part;
}

}  // namespace

std::string Identity(const std::string& bucket_identity, const ObjectVersion& version) {
  std::string text;
  AppendPart(text, bucket_identity);
  AppendPart(text, version.key);
  AppendPart(text, version.etag);
  AppendPart(text, std::to_string(version.size_bytes));
  return text;
}

Result<MetaHeader> EncodeMeta(const ObjectMeta& meta) {
  MetaHeader header{};
  if (meta.identity.size() > header.size() - sizeof(Fields))
    return Fail(Errc::kInvalid, "a name too long for the cache");
  Fields fields{.magic = kMagic,
                .header_checksum = 0,
                .version = kCacheFormatVersion,
                .page_bytes = meta.page_bytes,
                .size_bytes = meta.size_bytes,
                .identity_bytes = meta.identity.size()};
  std::memcpy(header.data(), &fields, sizeof(fields));
  std::memcpy(header.data() + sizeof(fields), meta.identity.data(), meta.identity.size());
  fields.header_checksum = HeaderChecksum(header);
  std::memcpy(header.data(), &fields, sizeof(fields));
  return header;
}

Result<ObjectMeta> DecodeMeta(std::span<const std::byte> header) {
  if (header.size() != kMetaHeaderBytes) return Fail(Errc::kCorrupt, "a header cut short");
  Fields fields{};
  std::memcpy(&fields, header.data(), sizeof(fields));
  if (fields.magic != kMagic) return Fail(Errc::kCorrupt, "not a header of the cache");
  if (fields.header_checksum != HeaderChecksum(header))
    return Fail(Errc::kCorrupt, "a damaged header");
  if (fields.version != kCacheFormatVersion ||
      fields.identity_bytes > header.size() - sizeof(fields))
    return Fail(Errc::kCorrupt, "a header of another version");
  if (!std::has_single_bit(fields.page_bytes) || fields.page_bytes < kPageBytesMin ||
      fields.page_bytes > kPageBytesMax || fields.size_bytes > kObjectBytesMax)
    return Fail(Errc::kCorrupt, "a header with sizes that no object has");
  const auto* const identity = reinterpret_cast<const char*>(header.data() + sizeof(fields));
  return ObjectMeta{.identity = {identity, fields.identity_bytes},
                    .size_bytes = fields.size_bytes,
                    .page_bytes = fields.page_bytes};
}

uint64_t PageChecksum(const ObjectDigest& object, uint64_t page_index,
                      std::span<const std::byte> page) {
  const uint64_t seed = object.words[0] ^ (page_index * 0x9e3779b97f4a7c15U);
  const uint64_t checksum = XXH3_64bits_withSeed(page.data(), page.size(), seed);
  return checksum == kNoChecksum ? 1 : checksum;
}

}  // namespace shoal
