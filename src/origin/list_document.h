// The documents that a bucket answers with: a page of a listing, and its statistics.
// Pure functions of text that is not to be trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "origin/object_store.h"

namespace shoal {

// 1000 keys of 1024 bytes, each byte as %XX, with what stands around them, is 4 MiB.
inline constexpr size_t kListDocumentBytesMax = 16 * size_t{1024} * 1024;

// How NextContinuationToken is written where the document encodes its keys: OSS encodes it like
// them. On S3 it is opaque and goes back as it came: that of Ceph is a key as it is, which may
// well look encoded.
enum class TokenText : uint8_t { kAsItIs, kEncodedLikeKeys };

// A page of ListObjectsV2, checked to be one that answers `query`: keys under its prefix,
// in order, once each. kUnreachable, saying what is wrong, if it is not.
Result<ListPage> ParseListDocument(std::string_view text, const ListQuery& query,
                                   TokenText token_text);

// GetBucketStat. kUnreachable if the text is not such a document.
Result<BucketUsage> ParseStatDocument(std::string_view text);

}  // namespace shoal
