// Serves a FileSystem to the kernel through libfuse's low-level decoder. Parses little
// and decides nothing: one function an operation, each a few lines.
//
// What is known is answered on the thread that received the request; what would wait
// goes to a bounded pool, or is parked with the fetch it waits for. FUSE_INTERRUPT
// answers EINTR at once (interrupt_reason.h says when not) and lets the work end by itself.
//
// A session starts from a descriptor of /dev/fuse that is mounted. If the kernel's
// FUSE_INIT was answered before, by a process that is gone, the saved message is
// replayed to libfuse and its answer swallowed; then the kernel sends again what that
// process read and did not answer. Its open handles are those of FileSystem::HandlesLeft.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/option.h"
#include "base/result.h"
#include "fs/file_system.h"
#include "fs/hand_over.h"
#include "fuse/request_metrics.h"

namespace shoal {

struct SessionOptions {
  std::string transport = "auto";
  std::string passthrough = "auto";
  std::string open_requests = "on";
  uint64_t readahead_kib = 1024;
  // Not options of a mount: what the caches allow, and bounds.
  bool has_cache = true;  // or no file can be passed through
  uint32_t request_bytes_max = 1u << 20;
  uint32_t waiter_count_max = 256;  // threads for calls that wait
  uint64_t deadline_seconds = 30;   // of one call; from request_deadline
};

inline constexpr auto kSessionOptions = std::tuple{
    Option{"transport", &SessionOptions::transport, Unit::kNone,
           "How requests come from the kernel: io_uring (Linux 6.14), dev (/dev/fuse), or auto: "
           "io_uring where the kernel has it, else dev"},
    Option{"passthrough", &SessionOptions::passthrough, Unit::kNone,
           "Whether the kernel reads objects that are whole in the cache by itself: auto (where it "
           "can: Linux 6.9, CAP_SYS_ADMIN) or off"},
    Option{
        "open_requests", &SessionOptions::open_requests, Unit::kNone,
        "off: the kernel opens and closes files by itself, which makes many small files that are "
        "read again much faster, for objects that do not change while they are mounted; without "
        "passthrough; holds for as long as the mount"},
    Option{"readahead_kb", &SessionOptions::readahead_kib, Unit::kKibibytes,
           "How far the kernel itself reads ahead"},
};

// kInvalid, naming the option, if a value is none of it.
Result<> CheckSessionOptions(const SessionOptions& options);

// What is in force, for the log and the tests.
struct SessionFacts {
  bool io_uring = false;
  std::string io_uring_why_not;
  bool passthrough = false;
  std::string passthrough_why_not;  // also with passthrough, if a file could not be
  bool can_forget_names = false;    // Linux 6.16
  // Whether another process can go on should this one die at any moment: Linux 6.9, and over
  // io_uring a memory of the rings that outlives it.
  bool outlives_its_process = false;
  uint32_t request_bytes = 0;
  uint32_t readahead_kib = 0;
};

class Session {
 public:
  virtual ~Session() = default;

  // The kernel's FUSE_INIT message and the answer to it, for a later StartSession on the same
  // descriptor: what was agreed on, also the transport, holds for the life of the mount.
  [[nodiscard]] virtual const std::vector<std::byte>& init_message() const = 0;
  [[nodiscard]] virtual SessionFacts facts() const = 0;
  [[nodiscard]] virtual const RequestMetrics& metrics() const = 0;
  // For how long a thread that receives requests has been in one; of the one that has been
  // longest, zero if none is in any. More than a moment: it is stuck, and what the kernel asks
  // next may never be received. Calls that wait for the store are with other threads.
  [[nodiscard]] virtual Duration longest_receipt() const = 0;

  // Makes the kernel ask for every name of the mount again when it is next used, whatever time
  // was left. Attributes and pages of inodes stay. From any thread. kUnsupported: not with this
  // kernel (facts().can_forget_names); then names are given to it for ten seconds at most.
  // kUnreachable: unmounted.
  virtual Result<> ForgetNames() = 0;

  // `begun` is called once, on a thread of Serve's, when that has the threads that it needs; it
  // ends before Serve does, and must not wait. Not if Serve ends before. To be called before Serve.
  virtual void OnBegun(std::function<void()> begun) = 0;

  // Serves until the file system is unmounted or Stop is called. Requests under way
  // are answered before it returns. kBusy: it may not have the threads (base/start_thread.h).
  virtual Result<> Serve() = 0;
  // From any thread, or a signal handler: Serve returns soon. Does not unmount; requests that
  // come later wait for the next session. Backing ids stay registered, for that session.
  virtual void Stop() = 0;
  // Over io_uring, from another thread: the rings answer nothing any more, and by the
  // return all that the kernel meant for this session until the call lies where the next one
  // finds it. Called twice, before and after that one's StandBy, it makes this process one that
  // can be killed without a loss. Over /dev/fuse it always is, and this does nothing.
  virtual void Hold() = 0;
};

class RingTransport;

// What a session has to do with the kernel through.
struct SessionChannel {
  int device_fd = -1;  // an open /dev/fuse, mounted; the caller's, and open for the session's life
  // Empty for a new mount, else init_message() of an earlier session on the descriptor.
  std::vector<std::byte> saved_init{};
  // From RingMemory::MakeFile, kept by who outlives this process; the caller's. -1: over io_uring,
  // no other process can go on should this one die.
  int ring_memory_fd = -1;
  std::shared_ptr<RingTransport> ring{};  // of PrepareRings, if it was called
  // "MAJOR:MINOR" of the mount, for one whose path may lead elsewhere by now; empty: that of
  // what is mounted at `mount_point`.
  std::string mount_device{};
};

// For a mount that was served before: makes what its rings need here, if it has any. The kernel
// learns nothing of it. An error: this process cannot serve the mount.
Result<> PrepareRings(SessionChannel& channel);
// After it, beside a process that serves the same mount and is on hold: what the kernel asks from
// now on waits in this process. kBusy: it may not have the threads (base/start_thread.h).
Result<> StandBy(SessionChannel& channel);

// `mount_point` names the bdi whose readahead is set; empty sets none. `file_system`, `clock`
// and `hand_over` outlive the session.
Result<std::unique_ptr<Session>> StartSession(FileSystem& file_system, SessionChannel channel,
                                              const std::string& mount_point,
                                              const SessionOptions& options, const Clock& clock,
                                              HandOver& hand_over);

}  // namespace shoal
