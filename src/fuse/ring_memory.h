// The entries of all rings of a mount, in memory that outlives the process that serves it.
//
// What the kernel has put into an entry stays the entry's until somebody commits an answer,
// whichever process that is: the commit names the request by its id. So where entries are in a
// memfd that a keeper holds, a process that takes over finds in them what the one before it was
// asked and did not answer. The kernel keeps the addresses that an entry was registered with,
// so all processes map the memory at one address.
//
// Thread-safe in that each entry is its queue's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "fuse/kernel_abi.h"

namespace shoal {

// The first page of an entry. The kernel writes into `kernel` only.
struct RingEntryPage {
  static constexpr size_t kBytes = 4096;
  static constexpr size_t kSavedInputBytesMax = 3072;  // names of lookups are all there is
  static constexpr size_t kMessageHeadBytesMax = sizeof(fuse_in_header) + 128;

  RingHeader kernel;
  // Of the request that is here: an answer overwrites its header, and what it brought.
  std::atomic<uint64_t> saved_id;  // whose copy the next three are; written last
  fuse_in_header saved_header;
  uint32_t saved_input_bytes;
  std::byte saved_input[kSavedInputBytesMax];
  std::atomic<uint64_t> answered_id;   // whose answer lies here whole, to be committed
  std::atomic<uint64_t> committed_id;  // whose commit the kernel has taken
};
static_assert(sizeof(RingEntryPage) + RingEntryPage::kMessageHeadBytesMax <= RingEntryPage::kBytes,
              "the head of a message is put together at the page's end");

struct RingGeometry {
  uint32_t queue_count = 0;
  uint32_t entry_count = 0;    // of each queue; four times as many as one process registers
  uint32_t payload_bytes = 0;  // whole pages

  friend bool operator==(const RingGeometry&, const RingGeometry&) = default;
};

class RingMemory {
 public:
  // For who holds it for others. Empty until it is mapped the first time. Close-on-exec.
  static Result<int> MakeFile();

  // `fd` is such a file and stays the caller's, or is -1: then the memory is this process's
  // alone. The first to map it gives it its geometry, which the others find. kUnsupported: it
  // cannot be had, or is of another version.
  static Result<std::unique_ptr<RingMemory>> Map(int fd, const RingGeometry& wanted);
  ~RingMemory();
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;

  [[nodiscard]] const RingGeometry& geometry() const;
  [[nodiscard]] RingEntryPage& page(uint32_t queue, uint32_t entry) const;
  // Directly behind the page.
  [[nodiscard]] std::byte* payload(uint32_t queue, uint32_t entry) const;
  // The turn it was registered in; 0: nobody has it, and nothing is left in it. Apart from the
  // pages, so that those of entries that nobody needs are never touched.
  [[nodiscard]] std::atomic<uint64_t>& owner(uint32_t queue, uint32_t entry) const;

  // Counts who mapped it; this process's number.
  [[nodiscard]] uint64_t turn() const { return turn_; }
  // Of the process that serves, or did last.
  [[nodiscard]] uint64_t serving_turn() const;
  void SetServing();

 private:
  struct Head;
  RingMemory(std::byte* memory, size_t bytes);
  [[nodiscard]] Head& head() const;
  [[nodiscard]] std::byte* entry_memory(uint32_t queue, uint32_t entry) const;

  std::byte* const memory_;
  const size_t bytes_;
  const uint64_t turn_;
};

}  // namespace shoal
