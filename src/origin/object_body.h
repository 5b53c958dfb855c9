// Where the bytes of one GET go: as many as were asked for and no more, and where the store told
// the checksum of all of them, none before all came and are those.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace shoal {

// Used by one thread.
class ObjectBody final : public ByteSink {
 public:
  // A larger object is passed on as it comes, for whoever reads its beginning does not wait for its
  // end. Where the next sink has no room for all of it, only so much is held in memory of its own.
  static constexpr uint64_t kHeldBytesMax = 1 * kMiB;
  static constexpr uint64_t kOwnBytesMax = 256 * kKiB;

  // `next` outlives it. REQUIRES: size_bytes > 0.
  ObjectBody(ByteSink& next, uint64_t size_bytes) : next_(next), missing_bytes_(size_bytes) {}

  // The CRC-64 of all of it (crc64.h). Holds the bytes back from now on, unless they are too many.
  // REQUIRES: nothing came.
  void Expect(uint64_t crc64);

  bool Append(std::span<const std::byte> bytes) override;
  std::span<std::byte> Room() override;

  [[nodiscard]] uint64_t missing_bytes() const { return missing_bytes_; }
  [[nodiscard]] bool overflowed() const { return overflowed_; }
  // All came, and are not what they should be: the next sink got none of them.
  [[nodiscard]] bool differs() const {
    return !held_.empty() && missing_bytes_ == 0 && crc64_ != expected_crc64_;
  }
  [[nodiscard]] uint64_t crc64() const { return crc64_; }

 private:
  ByteSink& next_;
  uint64_t missing_bytes_;
  bool overflowed_ = false;
  std::unique_ptr<std::byte[]> own_;
  std::span<std::byte>
      held_;  // all bytes, of which those that came are filled; empty: none is held
  uint64_t expected_crc64_ = 0;
  uint64_t crc64_ = 0;  // of those that came
};

}  // namespace shoal
