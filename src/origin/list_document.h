// The documents that a bucket answers with: a page of a listing, and its statistics.
// Pure functions of text that is not to be trusted.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "origin/object_store.h"

namespace shoal {

// 1000 keys of 1024 bytes, each byte as %XX, with what stands around them, is 4 MiB.
inline constexpr size_t kListDocumentBytesMax = 16 * size_t{1024} * 1024;

// A page of ListObjectsV2, checked to be one that answers `query`: keys under its prefix,
// in order, once each. kUnreachable, saying what is wrong, if it is not.
Result<ListPage> ParseListDocument(std::string_view text, const ListQuery& query);

// GetBucketStat. kUnreachable if the text is not such a document.
Result<BucketUsage> ParseStatDocument(std::string_view text);

}  // namespace shoal
