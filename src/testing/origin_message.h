// What the embedded origin's parts hand to each other: a parsed request, the bytes that
// follow it, and an answer. Values; no part knows a socket but origin_connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "origin/signer.h"
#include "testing/origin_files.h"

namespace shoal::embedded {

// Which service the client believes it speaks to; decided by its signature.
enum class Dialect : uint8_t { kOss, kS3 };

// A refusal as the real services word it. Becomes the error document.
struct ServiceError {
  int status = 500;
  std::string code;     // "NoSuchKey"
  std::string message;  // for people
  std::string ec = {};  // OSS's numeric cause; empty where it is not known
  std::vector<std::pair<std::string, std::string>> details = {};  // further elements
};

template <class T = void>
using ServiceResult = tl::expected<T, ServiceError>;

inline auto Refuse(ServiceError error) {
  return tl::unexpected<ServiceError>(std::move(error));
}
ServiceError InvalidArgument(std::string message);
// A failure of the disk below: 500, or 507 where it is full.
ServiceError InternalError(const Error& error);

struct OriginRequest : SignableRequest {
  Dialect dialect = Dialect::kOss;
  std::string host;  // lower case, without the port

  // Empty when absent. `name` in lower case.
  [[nodiscard]] std::string_view Header(const std::string& name) const;
  // The service's own header: x-oss-NAME or x-amz-NAME.
  [[nodiscard]] std::string_view VendorHeader(std::string_view name) const;
  [[nodiscard]] std::optional<std::string_view> Query(std::string_view name) const;
  [[nodiscard]] std::string_view QueryOr(std::string_view name, std::string_view fallback) const;
};

// "x-oss-" or "x-amz-".
std::string_view VendorPrefix(Dialect dialect);

// The body of a request. Used by one thread.
class RequestBody {
 public:
  virtual ~RequestBody() = default;
  // Fills at most out.size() bytes; 0 only at the end, when everything that could be
  // checked about the body was right.
  virtual ServiceResult<size_t> Read(std::span<std::byte> out) = 0;
};

// All of a body that must be small. MalformedXML past `size_bytes_max`.
ServiceResult<std::string> ReadAll(RequestBody& body, size_t size_bytes_max);

struct FileBody {
  FileDescriptor file;
  FileStamp stamp;  // of the version whose ETag the answer has
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct OriginAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  std::optional<FileBody> file = {};  // instead of `body`
};

// What a request line names: "/a" of the host in the Host header, or "http://host/a", as it is
// sent to proxies and any server has to take (RFC 9112 3.2.2).
struct RequestTarget {
  std::string authority;  // with its port
  std::string rest;       // begins with a slash if the target is well formed
};
RequestTarget SplitTarget(std::string_view target, std::string_view host_header);

// Fills encoded_path, query, bucket and key from the target of a request line. In virtual
// host style the bucket is the first label of request.host: where that label is one of
// `buckets`, or where the rest looks like a service ("localhost", "oss-*", "s3*").
ServiceResult<> ParseTarget(std::string_view target, const std::vector<std::string>& buckets,
                            OriginRequest& request);

}  // namespace shoal::embedded
