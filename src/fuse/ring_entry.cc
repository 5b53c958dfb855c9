#include "fuse/ring_entry.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "fuse/kernel_abi.h"

namespace shoal {

RingEntry::RingEntry(uint32_t index_, RingEntryPage& page, std::byte* payload,
                     uint32_t payload_bytes_max, const Answered& answered)
    : index(index_),
      page_(page),
      payload_(payload),
      payload_bytes_max_(payload_bytes_max),
      answered_(answered),
      buffers_{{&page, RingEntryPage::kBytes}, {payload, payload_bytes_max}} {}

int RingEntry::Send(std::span<const iovec> parts) {
  fuse_out_header out{};
  std::memcpy(&out, parts[0].iov_base, sizeof(out));
  out.unique &= ~kUniqueResent;  // ours, not the kernel's
  size_t length = 0;
  for (const iovec& part : parts.subspan(1)) {
    if (part.iov_len > payload_bytes_max_ - length) {
      log::Error("an answer is longer than the {} bytes asked for", payload_bytes_max_);
      out.error = -EIO;
      length = 0;
      break;
    }
    // What was made in AnswerRoom is there already.
    if (part.iov_base != payload_ + length)
      std::memcpy(payload_ + length, part.iov_base, part.iov_len);
    length += part.iov_len;
  }
  out.len = static_cast<uint32_t>(sizeof(out) + length);
  std::memcpy(page_.kernel.in_out, &out, sizeof(out));
  page_.kernel.payload_bytes = static_cast<uint32_t>(length);
  answered_(*this);
  return 0;
}

// The request's own bytes lie here, too, if it has any beside its struct.
std::span<std::byte> RingEntry::AnswerRoom() {
  if (page_.kernel.payload_bytes > 0) return {};
  return {payload_, payload_bytes_max_};
}

RingEntry::Left RingEntry::left() const {
  const uint64_t id = page_.kernel.commit_id;
  if (id == 0 || id == page_.committed_id.load(std::memory_order_acquire)) return Left::kNothing;
  return id == page_.answered_id.load(std::memory_order_acquire) ? Left::kAnswer : Left::kRequest;
}

std::span<std::byte> RingEntry::Receive(bool again) {
  commit_id_ = page_.kernel.commit_id;
  if (page_.saved_id.load(std::memory_order_acquire) != commit_id_)
    Save(commit_id_);
  else if (!Restore())
    return {};
  fuse_in_header in{};
  std::memcpy(&in, page_.kernel.in_out, sizeof(in));
  const size_t input_bytes = page_.kernel.payload_bytes;
  const size_t head_bytes = in.len - input_bytes;
  if (in.len < sizeof(in) + input_bytes ||
      head_bytes - sizeof(in) > sizeof(page_.kernel.operation_in) ||
      input_bytes > payload_bytes_max_)
    return {};
  if (again) in.unique |= kUniqueResent;
  // Its header and its struct are put at the end of the page, right before the payload.
  std::byte* const start = payload_ - head_bytes;
  std::memcpy(start, &in, sizeof(in));
  std::memcpy(start + sizeof(in), page_.kernel.operation_in, head_bytes - sizeof(in));
  return {start, in.len};
}

void RingEntry::Refuse() {
  fuse_in_header in{};
  std::memcpy(&in, page_.kernel.in_out, sizeof(in));
  log::Error("a request (operation {}) whose parts do not make up its length", in.opcode);
  fuse_out_header refusal{sizeof(refusal), -EIO, in.unique};
  const iovec part{&refusal, sizeof(refusal)};
  Send({&part, 1});
}

void RingEntry::Save(uint64_t id) {
  const uint32_t input_bytes = page_.kernel.payload_bytes;
  std::memcpy(&page_.saved_header, page_.kernel.in_out, sizeof(page_.saved_header));
  page_.saved_input_bytes = input_bytes;
  std::memcpy(page_.saved_input, payload_,
              std::min<size_t>(input_bytes, sizeof(page_.saved_input)));
  page_.saved_id.store(id, std::memory_order_release);
}

bool RingEntry::Restore() {
  const uint32_t input_bytes = page_.saved_input_bytes;
  std::memcpy(page_.kernel.in_out, &page_.saved_header, sizeof(page_.saved_header));
  page_.kernel.payload_bytes = input_bytes;
  if (input_bytes > sizeof(page_.saved_input)) return false;
  std::memcpy(payload_, page_.saved_input, input_bytes);
  return true;
}

}  // namespace shoal
