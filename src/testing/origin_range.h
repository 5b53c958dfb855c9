// Which bytes a GET answers with, and whether it answers at all, as functions of values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "testing/origin_message.h"

namespace shoal::embedded {

struct RangeAnswer {
  int status = 200;  // 200 the whole object, 206 `range` of it
  ByteRange range;
};

// HTTP's rule, which S3 follows and OSS too when told `x-oss-range-behavior: standard`:
// a range that reaches past the end is cut, one that begins there is refused (416). OSS by
// default ignores every range that is not wholly inside the object, and answers 200.
// Of several ranges the first counts; what is no range at all is ignored.
ServiceResult<RangeAnswer> ChooseRange(std::string_view range_header, uint64_t size_bytes,
                                       bool standard);

// If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since: 0 go on, 304 or 412.
// `prefix` is "" for the headers of a GET, "x-oss-copy-source-" for those of a copy.
int CheckConditions(const OriginRequest& request, const std::string& prefix, std::string_view etag,
                    int64_t modified_unix_seconds);

// Without quotes, in lower case: what two spellings of an ETag are compared by.
std::string BareEtag(std::string_view etag);

// RFC 1123, as in "Wed, 21 Oct 2015 07:28:00 GMT".
std::string HttpDate(int64_t unix_seconds);
// "2015-10-21T07:28:00.000Z", as in documents.
std::string DocumentDate(int64_t unix_seconds);
// "20151021T072800Z" and "2015-10-21T07:28:00Z". -1 if it is neither.
int64_t ParseIsoDate(const std::string& text);

}  // namespace shoal::embedded
