#include "testing/origin_body.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <charconv>
#include <cstring>
#include <optional>

#include "net/base64.h"
#include "testing/origin_digest.h"

namespace shoal::embedded {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr size_t kLineBytesMax = 4096;
constexpr size_t kTrailersMax = 16;

auto BadEncoding() {
  return Refuse({400, "IncompleteBody", "The aws-chunked encoding of the body is broken."});
}

// CRCs travel in network byte order.
std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

}  // namespace

ServiceResult<size_t> AwsChunkedBody::ReadInner(std::span<std::byte> out) {
  if (buffer_used_ == buffer_.size()) {
    buffer_.resize(kBufferBytes);
    ASSIGN_OR_RETURN(const size_t size, inner_.Read(buffer_));
    buffer_.resize(size);
    buffer_used_ = 0;
  }
  const size_t size = std::min(out.size(), buffer_.size() - buffer_used_);
  if (size > 0) std::memcpy(out.data(), buffer_.data() + buffer_used_, size);
  buffer_used_ += size;
  return size;
}

ServiceResult<std::string> AwsChunkedBody::ReadLine() {
  std::string line;
  while (!line.ends_with("\r\n")) {
    std::byte next;
    ASSIGN_OR_RETURN(const size_t size, ReadInner({&next, 1}));
    if (size == 0 || line.size() == kLineBytesMax) return BadEncoding();
    line += static_cast<char>(next);
  }
  line.resize(line.size() - 2);
  return line;
}

ServiceResult<> AwsChunkedBody::StartPiece() {
  if (piece_open_) {
    ASSIGN_OR_RETURN(const std::string empty, ReadLine());
    if (!empty.empty()) return BadEncoding();
  }
  ASSIGN_OR_RETURN(const std::string line, ReadLine());
  const std::string size = line.substr(0, line.find(';'));
  const auto [end, ec] = std::from_chars(size.data(), size.data() + size.size(), piece_left_, 16);
  if (ec != std::errc{} || end != size.data() + size.size()) return BadEncoding();
  piece_open_ = true;
  if (piece_left_ > 0) return {};
  ended_ = true;
  // Trailers and an empty line; some clients leave the line out.
  while (trailers_.size() < kTrailersMax) {
    if (buffer_used_ == buffer_.size()) {
      buffer_.resize(kBufferBytes);
      ASSIGN_OR_RETURN(const size_t got, inner_.Read(buffer_));
      buffer_.resize(got);
      buffer_used_ = 0;
      if (got == 0) return {};
    }
    ASSIGN_OR_RETURN(const std::string trailer, ReadLine());
    const size_t colon = trailer.find(':');
    if (trailer.empty()) continue;
    if (colon == std::string::npos) return BadEncoding();
    trailers_[trailer.substr(0, colon)] = trailer.substr(colon + 1);
  }
  return BadEncoding();
}

ServiceResult<size_t> AwsChunkedBody::Read(std::span<std::byte> out) {
  if (!ended_ && piece_left_ == 0) RETURN_IF_ERROR(StartPiece());
  if (ended_) return size_t{0};
  const size_t wanted = static_cast<size_t>(std::min<uint64_t>(out.size(), piece_left_));
  ASSIGN_OR_RETURN(const size_t size, ReadInner(out.first(wanted)));
  if (size == 0) return BadEncoding();
  piece_left_ -= size;
  return size;
}

struct CheckedBody::Checks {
  std::optional<Digest> md5;
  std::optional<Digest> sha1;
  std::optional<Digest> sha256;
  std::optional<boost::crc_32_type> crc32;
};

CheckedBody::CheckedBody(RequestBody& inner, const OriginRequest& request)
    : request_(request), inner_(&inner), checks_(std::make_unique<Checks>()) {
  const std::string_view payload = request.Header("x-amz-content-sha256");
  if (payload.starts_with("STREAMING-")) {
    chunked_ = std::make_unique<AwsChunkedBody>(inner);
    inner_ = chunked_.get();
  }
  const auto announced = [&](const std::string& name) {
    return !request.Header(name).empty() || request.Header("x-amz-trailer") == name;
  };
  if (announced("content-md5")) checks_->md5.emplace(Digest::Kind::kMd5);
  if (announced("x-amz-checksum-sha1")) checks_->sha1.emplace(Digest::Kind::kSha1);
  if (announced("x-amz-checksum-sha256") || payload.size() == 64)
    checks_->sha256.emplace(Digest::Kind::kSha256);
  if (announced("x-amz-checksum-crc32")) checks_->crc32.emplace();
}

CheckedBody::~CheckedBody() = default;

ServiceResult<size_t> CheckedBody::Read(std::span<std::byte> out) {
  ASSIGN_OR_RETURN(const size_t size, inner_->Read(out));
  if (size == 0) {
    RETURN_IF_ERROR(Compare());
    return size;
  }
  const auto bytes = out.first(size);
  if (checks_->md5) checks_->md5->Add(bytes);
  if (checks_->sha1) checks_->sha1->Add(bytes);
  if (checks_->sha256) checks_->sha256->Add(bytes);
  if (checks_->crc32) checks_->crc32->process_bytes(bytes.data(), bytes.size());
  return size;
}

ServiceResult<> CheckedBody::Compare() {
  if (!checks_) return {};
  const std::unique_ptr<Checks> checks = std::exchange(checks_, std::make_unique<Checks>());
  const auto said = [&](const std::string& name) {
    std::string value(request_.Header(name));
    if (value.empty() && chunked_ && chunked_->trailers().contains(name))
      value = chunked_->trailers().at(name);
    return value;
  };
  const auto differs = [&](const std::string& name, const std::string& digest) {
    const std::string value = said(name);
    return !value.empty() && FromBase64(value) != digest;
  };
  const std::string sha256 = checks->sha256 ? checks->sha256->Finish() : "";
  const std::string_view payload = request_.Header("x-amz-content-sha256");
  if (payload.size() == 64 && FromHex(payload) != sha256)
    return Refuse({400, "XAmzContentSHA256Mismatch",
                   "The provided 'x-amz-content-sha256' header does not match what was computed."});
  if (checks->md5 && differs("content-md5", checks->md5->Finish()))
    return Refuse({400, request_.dialect == Dialect::kOss ? "InvalidDigest" : "BadDigest",
                   "The Content-MD5 you specified did not match what we received."});
  if ((checks->sha1 && differs("x-amz-checksum-sha1", checks->sha1->Finish())) ||
      (checks->sha256 && differs("x-amz-checksum-sha256", sha256)) ||
      (checks->crc32 && differs("x-amz-checksum-crc32", BigEndian(checks->crc32->checksum()))))
    return Refuse({400, "BadDigest", "The checksum you specified did not match what we received."});
  return {};
}

}  // namespace shoal::embedded
