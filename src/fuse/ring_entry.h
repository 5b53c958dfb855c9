// One entry of a queue: where the kernel puts a request, and its answer is made.
//
// An entry is either the kernel's, which may put a request there at any time, or ours, from
// the completion that brings a request until the commit of its answer, which gives it back.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "fuse/decoder.h"
#include "fuse/ring_memory.h"

namespace shoal {

class RingEntry final : public ReplyPort {
 public:
  // `answered` is called from any thread, once for each request: the answer lies here.
  using Answered = std::function<void(RingEntry&)>;
  // `answered` outlives it.
  RingEntry(uint32_t index, RingEntryPage& page, std::byte* payload, uint32_t payload_bytes_max,
            const Answered& answered);

  int Send(std::span<const iovec> parts) override;
  std::span<std::byte> AnswerRoom() override;
  [[nodiscard]] bool TellsOfEarlierSignals() const override { return false; }

  // What is left here by a process that is gone.
  enum class Left : uint8_t { kNothing, kRequest, kAnswer };
  [[nodiscard]] Left left() const;

  // The rest is for the queue's thread.

  // The request that is here, in one piece. Empty if its lengths do not fit together. `again`:
  // another process received it already; then it is marked as one that was sent again.
  [[nodiscard]] std::span<std::byte> Receive(bool again);
  // Answers EIO in the place of a request that cannot be read.
  void Refuse();

  // The id that the commit names.
  [[nodiscard]] uint64_t commit_id() const { return commit_id_; }
  [[nodiscard]] uint32_t answer_bytes() const { return page_.kernel.payload_bytes; }
  // From here on whoever takes over commits the answer as it is.
  void MarkAnswered() { page_.answered_id.store(commit_id_, std::memory_order_release); }
  void MarkCommitted(uint64_t id) { page_.committed_id.store(id, std::memory_order_release); }
  // The kernel took the command and then said that it is not done.
  void OnRefused() { page_.committed_id.store(0, std::memory_order_release); }
  // Its answer is what a process that is gone left.
  void TakeAnswer() { commit_id_ = page_.kernel.commit_id; }

  [[nodiscard]] RingEntryPage& page() { return page_; }
  [[nodiscard]] std::byte* payload() { return payload_; }
  [[nodiscard]] const iovec* buffers() const { return buffers_; }

  const uint32_t index;         // in its queue
  uint32_t last_command = 0;    // for a retry
  uint64_t resident_bytes = 0;  // that answers have left beyond the room of requests

 private:
  void Save(uint64_t id);
  // False: not all of it was saved.
  bool Restore();

  RingEntryPage& page_;
  std::byte* const payload_;
  const uint32_t payload_bytes_max_;
  const Answered& answered_;
  const iovec buffers_[2];
  uint64_t commit_id_ = 0;  // of the request that is ours
};

}  // namespace shoal
