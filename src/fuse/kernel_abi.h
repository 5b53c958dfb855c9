// FUSE over io_uring as the kernel speaks it (since 6.14): what the <linux/fuse.h> of the
// systems we build on does not have yet. Source: Linux, include/uapi/linux/fuse.h and
// Documentation/filesystems/fuse/fuse-io-uring.rst.
#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>

namespace shoal {

// Flags of FUSE_INIT; those above bit 31 travel in flags2.
inline constexpr uint64_t kInitPassthrough = 1ULL << 37;
inline constexpr uint64_t kInitOverIoUring = 1ULL << 41;

// Set in `unique` when the kernel sends a request again to a new worker.
inline constexpr uint64_t kUniqueResent = 1ULL << 63;

// Commands of IORING_OP_URING_CMD on /dev/fuse.
inline constexpr uint32_t kRingRegister = 1;        // gives the kernel an entry's buffers
inline constexpr uint32_t kRingCommitAndFetch = 2;  // answers, and gives the entry back

// Lies in the command area of a 128 byte submission entry.
struct RingCommand {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t queue_id;
  uint8_t padding[6];
};

// The first buffer of an entry; the second is its payload.
struct RingHeader {
  std::byte in_out[128];        // fuse_in_header, then our fuse_out_header
  std::byte operation_in[128];  // the operation's own struct: its length is in_header.len less
                                // the header and the payload
  uint64_t flags;
  uint64_t commit_id;
  uint32_t payload_bytes;  // of the request, then of our answer
  uint32_t padding;
  uint64_t reserved;
};
static_assert(sizeof(RingHeader) == 288 && sizeof(RingCommand) == 24);

}  // namespace shoal
