// The memory of a mount: a memfd that its keeper holds and each worker maps. In it are the
// agreement with the kernel (FUSE_INIT) and what a worker hands over to the next one
// (fs/hand_over.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/node_parts.h"

namespace shoal {

// One process writes at a time; the keeper reads the facts below.
class MountMemory {
 public:
  static Result<std::unique_ptr<MountMemory>> Create();
  // `fd` stays the caller's. kInvalid: it is not such a memory, or one of another version.
  static Result<std::unique_ptr<MountMemory>> Open(int fd);
  ~MountMemory();
  MountMemory(const MountMemory&) = delete;
  MountMemory& operator=(const MountMemory&) = delete;

  // Of Create; otherwise -1. Close-on-exec.
  [[nodiscard]] int fd() const { return fd_; }

  // Session::init_message(); empty until it was saved whole.
  [[nodiscard]] std::vector<std::byte> saved_init() const;
  Result<> SaveInit(std::span<const std::byte> message);

  // Whether the worker may die at any moment and another go on.
  [[nodiscard]] bool outlives_its_worker() const;
  void SetOutlivesItsWorker(bool outlives);
  // Whether requests come over io_uring.
  [[nodiscard]] bool uses_rings() const;
  void SetUsesRings(bool uses);
  // Whether it was mounted with open_requests=off.
  [[nodiscard]] bool opens_go_unasked() const;
  void SetOpensGoUnasked(bool unasked);
  // "MAJOR:MINOR" of what is mounted, wherever it is by now; empty before.
  [[nodiscard]] std::string device() const;
  void SetDevice(std::string_view device);
  // For how long requests may wait for a worker that comes up.
  [[nodiscard]] uint64_t recovery_limit_seconds() const;
  void SetRecoveryLimit(uint64_t seconds);

  // Which options the last worker served with, as a number that differs where they do.
  [[nodiscard]] uint64_t options_served() const;
  void SetOptionsServed(uint64_t number);

  // The keeper's count of workers that served.
  [[nodiscard]] WorkersBefore workers_before() const;
  void CountDeath(int64_t unix_seconds);
  void CountReplacement();

  // For a SharedHandOver. Takes memory as it is written.
  [[nodiscard]] std::span<std::byte> hand_over_area() const;

 private:
  struct Header;
  MountMemory(int fd, std::byte* memory) : fd_(fd), memory_(memory) {}
  static Result<std::unique_ptr<MountMemory>> Map(int fd, int owned_fd);
  [[nodiscard]] Header& header() const;

  const int fd_;
  std::byte* const memory_;
};

}  // namespace shoal
