#include "origin/object_body.h"

#include <cassert>
#include <cstring>

#include "origin/crc64.h"

namespace shoal {

void ObjectBody::Expect(uint64_t crc64) {
  assert(held_.empty());
  if (missing_bytes_ > kHeldBytesMax) return;
  if (const std::span<std::byte> room = next_.Room(); room.size() >= missing_bytes_) {
    held_ = room.first(missing_bytes_);
  } else if (missing_bytes_ <= kOwnBytesMax) {
    own_ = std::make_unique_for_overwrite<std::byte[]>(missing_bytes_);
    held_ = {own_.get(), missing_bytes_};
  }
  expected_crc64_ = crc64;
}

bool ObjectBody::Append(std::span<const std::byte> bytes) {
  if (bytes.size() > missing_bytes_) {
    overflowed_ = true;
    return false;
  }
  if (held_.empty()) {
    missing_bytes_ -= bytes.size();
    return next_.Append(bytes);
  }
  std::byte* const place = held_.data() + held_.size() - missing_bytes_;
  if (bytes.data() != place && !bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
  crc64_ = Crc64(crc64_, {place, bytes.size()});
  missing_bytes_ -= bytes.size();
  if (missing_bytes_ > 0) return next_.Append({});
  return !differs() && next_.Append(held_);
}

std::span<std::byte> ObjectBody::Room() {
  return held_.empty() ? next_.Room() : held_.last(missing_bytes_);
}

}  // namespace shoal
