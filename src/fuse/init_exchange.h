// FUSE_INIT: the kernel's message, and our answer to it.
//
// Both are kept, since a later session on the same descriptor needs them: libfuse wants the
// message, and what was agreed on (io_uring, sizes) holds for the life of the mount.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "fuse/decoder.h"
#include "fuse/kernel_abi.h"

namespace shoal {

// What the kernel may put into one request beside its structs: names, and the value of an
// attribute. The mount is read-only, so this is also the largest write. (An ioctl may bring more,
// which nobody looks at: all are refused.)
inline constexpr uint32_t kInputBytesMax = 4 * 1024;

class InitExchange final : private ReplyPort {
 public:
  // Waits for the kernel's message and reads it. kUnreachable: the mount is gone.
  static Result<InitExchange> Receive(int device_fd);
  // From Saved() of an earlier session. kInvalid if it is not that.
  static Result<InitExchange> Restore(int device_fd, std::span<const std::byte> saved);

  [[nodiscard]] bool restored() const { return restored_; }
  // Of the kernel, with flags2 in the upper half.
  [[nodiscard]] uint64_t offered_flags() const;
  [[nodiscard]] uint32_t offered_minor() const;

  // Feeds the message. The kernel gets the answer, unless it got one before. `io_uring`
  // must be what was agreed on before if this was restored.
  Result<> Complete(Decoder& decoder, bool io_uring, Instant now);

  // Only after Complete, or if restored.
  [[nodiscard]] uint64_t agreed_flags() const;
  [[nodiscard]] uint32_t request_bytes() const;
  // The message and the answer, one behind the other.
  [[nodiscard]] std::vector<std::byte> Saved() const;

 private:
  InitExchange(int device_fd, std::vector<std::byte> message, bool restored)
      : device_fd_(device_fd), message_(std::move(message)), restored_(restored) {}
  int Send(std::span<const iovec> parts) override;

  int device_fd_;
  std::vector<std::byte> message_;
  bool restored_;
  bool io_uring_ = false;
  bool answered_ = false;
  fuse_out_header answer_header_{};
  fuse_init_out answer_{};
};

}  // namespace shoal
