// Ranges of bytes, and where bytes go.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;

// Half-open: [offset, offset + length). Both in bytes.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;

  [[nodiscard]] constexpr uint64_t end() const { return offset + length; }
  friend constexpr bool operator==(ByteRange, ByteRange) = default;
};

// Of length 0: none.
constexpr ByteRange Overlap(ByteRange one, ByteRange other) {
  const uint64_t begin = std::max(one.offset, other.offset);
  return {begin, std::max(std::min(one.end(), other.end()), begin) - begin};
}

// Receives the bytes of a range, in order, as they arrive. Called by one thread
// at a time.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // `bytes` is valid during the call only. False: the receiver wants no more,
  // and the sender ends with Errc::kInterrupted. With no bytes, that is all it asks.
  virtual bool Append(std::span<const std::byte> bytes) = 0;
  // Memory where the next bytes may be put before they are appended from there, which then copies
  // nothing. It is good until bytes are appended, and empty where there is none; Append takes
  // bytes from elsewhere as ever, but for an overlap with it. Who passes on less than came must not
  // pass it on.
  virtual std::span<std::byte> Room() { return {}; }
};

}  // namespace shoal
