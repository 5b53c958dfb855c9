#include "testing/origin_digest.h"

#include <array>
#include <boost/algorithm/hex.hpp>
#include <cassert>
#include <iterator>

#include "origin/crc64.h"

namespace shoal::embedded {
namespace {

const EVP_MD* Algorithm(Digest::Kind kind) {
  switch (kind) {
    case Digest::Kind::kMd5:
      return EVP_md5();
    case Digest::Kind::kSha1:
      return EVP_sha1();
    case Digest::Kind::kSha256:
      return EVP_sha256();
  }
  return nullptr;
}

std::string DigestHex(Digest::Kind kind, std::string_view bytes) {
  Digest digest(kind);
  digest.Add(std::as_bytes(std::span(bytes)));
  return Hex(digest.Finish());
}

}  // namespace

Digest::Digest(Kind kind) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
  [[maybe_unused]] const int ok = EVP_DigestInit_ex(context_.get(), Algorithm(kind), nullptr);
  assert(ok == 1);
}

void Digest::Add(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string Digest::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

void RunningSums::Add(std::span<const std::byte> bytes) {
  md5_.Add(bytes);
  crc64_ = Crc64(crc64_, bytes);
}

Sums RunningSums::Finish() {
  return {.md5_hex = Hex(md5_.Finish()), .crc64 = crc64_};
}

std::string FromHex(std::string_view text) {
  if (text.size() % 2 != 0 ||
      text.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
    return {};
  std::string bytes;
  boost::algorithm::unhex(text.begin(), text.end(), std::back_inserter(bytes));
  return bytes;
}

std::string Md5Hex(std::string_view bytes) {
  return DigestHex(Digest::Kind::kMd5, bytes);
}
std::string Sha256Hex(std::string_view bytes) {
  return DigestHex(Digest::Kind::kSha256, bytes);
}

}  // namespace shoal::embedded
