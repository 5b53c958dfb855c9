// SOURCE of a mount, as the user types it:
//
//   BUCKET.ENDPOINT[:PORT]:/PREFIX             data.oss-cn-hangzhou.aliyuncs.com:/models
//   BUCKET:/PREFIX with -o endpoint=URL        data:/models  endpoint=http://127.0.0.1:9000
//
// HTTPS unless endpoint= says http://. With endpoint=, SOURCE may still carry the
// endpoint's host, which is how an address copied from the console is read over plain
// HTTP. Without it BUCKET ends at the first dot, so an S3 bucket whose name has dots
// needs endpoint=.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace shoal {

struct MountSource {
  std::string bucket;
  std::string endpoint;     // scheme://host[:port], and nothing after it
  bool path_style = false;  // the endpoint is an IP address or localhost: no host names below it
  std::string prefix;       // "" or "a/b/"

  friend bool operator==(const MountSource&, const MountSource&) = default;
};

// `endpoint` is the value of -o endpoint=, or empty; `protocol` ("oss", "s3") decides
// whether a bucket's name may have dots. kInvalid, saying what is wrong and showing the
// right form.
Result<MountSource> ParseMountSource(std::string_view source, std::string_view endpoint,
                                     std::string_view protocol);

}  // namespace shoal
