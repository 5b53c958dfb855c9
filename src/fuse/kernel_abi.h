// What the kernel speaks and the <linux/fuse.h> of the systems we build on does not have yet:
// passthrough (since 6.9), FUSE over io_uring (6.14), epochs of names (6.16), pruning (6.18).
// Source: Linux, include/uapi/linux/fuse.h and Documentation/filesystems/fuse/.
#pragma once

#include <linux/fuse.h>
#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>

namespace shoal {

// Flags of FUSE_INIT; those above bit 31 travel in flags2.
inline constexpr uint64_t kInitPassthrough = 1ULL << 37;
inline constexpr uint64_t kInitOverIoUring = 1ULL << 41;

// A notification that makes the kernel send again what a process read and did not answer, from
// this minor version on (Linux 6.9); and what is set in `unique` of such a request.
inline constexpr int32_t kNotifyResend = 7;  // FUSE_NOTIFY_RESEND
inline constexpr uint32_t kNotifyResendMinor = 40;
inline constexpr uint64_t kUniqueResent = 1ULL << 63;

// A notification that makes the kernel look up every name again, from this minor version on.
inline constexpr int32_t kNotifyNamesChanged = 8;  // FUSE_NOTIFY_INC_EPOCH
inline constexpr uint32_t kNotifyNamesChangedMinor = 44;

// A notification that makes the kernel let go of inodes that nobody uses (Linux 6.18); their
// numbers follow, 8 bytes each.
inline constexpr int32_t kNotifyPrune = 9;  // FUSE_NOTIFY_PRUNE
struct PruneNotification {
  uint32_t count;
  uint32_t padding;
  uint64_t spare;
};

// Gives the kernel a file to read from by itself: the id to name it by, in answers to FUSE_OPEN.
struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
inline constexpr unsigned long kBackingOpen = _IOW(FUSE_DEV_IOC_MAGIC, 1, BackingMap);
inline constexpr unsigned long kBackingClose = _IOW(FUSE_DEV_IOC_MAGIC, 2, uint32_t);

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
static_assert(sizeof(BackingMap) == 16);

}  // namespace shoal
