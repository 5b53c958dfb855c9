// Layers over a request's body: the aws-chunked encoding taken off, checksums compared.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/origin_message.h"

namespace shoal::embedded {

// Content-Encoding aws-chunked, as newer AWS SDKs upload: pieces with their sizes, perhaps
// signed, then trailers. docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html.
// The signatures of single pieces are not checked, only that of the head.
class AwsChunkedBody final : public RequestBody {
 public:
  explicit AwsChunkedBody(RequestBody& inner) : inner_(inner) {}
  ServiceResult<size_t> Read(std::span<std::byte> out) override;
  // Complete once Read has returned 0. Names in lower case.
  [[nodiscard]] const std::map<std::string, std::string>& trailers() const { return trailers_; }

 private:
  ServiceResult<std::string> ReadLine();
  ServiceResult<size_t> ReadInner(std::span<std::byte> out);
  ServiceResult<> StartPiece();

  RequestBody& inner_;
  std::vector<std::byte> buffer_;
  size_t buffer_used_ = 0;
  uint64_t piece_left_ = 0;
  bool piece_open_ = false;
  bool ended_ = false;
  std::map<std::string, std::string> trailers_;
};

// Compares what a client said about its body with the body: Content-MD5, the x-amz-
// content-sha256 it signed, and x-amz-checksum-crc32, -sha1 or -sha256 as headers or
// trailers. Others are not known here, and pass.
class CheckedBody final : public RequestBody {
 public:
  // Both outlive it.
  CheckedBody(RequestBody& inner, const OriginRequest& request);
  ~CheckedBody() override;
  ServiceResult<size_t> Read(std::span<std::byte> out) override;

 private:
  struct Checks;
  ServiceResult<> Compare();

  const OriginRequest& request_;
  std::unique_ptr<AwsChunkedBody> chunked_;  // where the request says so
  RequestBody* inner_;
  std::unique_ptr<Checks> checks_;
};

}  // namespace shoal::embedded
